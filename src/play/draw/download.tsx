import type { JSX } from 'preact';

interface DownloadProps {
  /** The name of the file. */
  name: string;
  /** Makes its text. */
  make: () => string;
  children: string;
}

/** A button that saves a text which the page makes. */
export function Download({ name, make, children }: DownloadProps): JSX.Element {
  function save(): void {
    const type = name.endsWith('.svg') ? 'image/svg+xml' : 'application/json';
    const url = URL.createObjectURL(new Blob([make()], { type }));
    const link = document.createElement('a');
    link.href = url;
    link.download = name;
    link.click();
    setTimeout(() => {
      URL.revokeObjectURL(url);
    }, 10_000);
  }
  return (
    <button type="button" class="quiet" onClick={save}>
      {children}
    </button>
  );
}

/** A text within SVG or HTML. */
export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
