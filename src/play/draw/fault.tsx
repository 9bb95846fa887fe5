import type { JSX } from 'preact';

/** What went wrong, in words; nothing if nothing did. */
export function Fault({ message }: { message: string | null }): JSX.Element | null {
  if (message === null) return null;
  return (
    <p class="error" role="alert">
      {message}
    </p>
  );
}
