export type Theme = 'auto' | 'light' | 'dark';

const KEY = 'emergent-theme';

/** The theme that the reader chose before; `auto` follows the system. */
export function savedTheme(): Theme {
  try {
    const saved = localStorage.getItem(KEY);
    return saved === 'light' || saved === 'dark' ? saved : 'auto';
  } catch {
    return 'auto'; // storage is forbidden
  }
}

/** Sets the theme and remembers it. */
export function applyTheme(theme: Theme): void {
  const { dataset } = document.documentElement;
  if (theme === 'auto') delete dataset.theme;
  else dataset.theme = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // storage is forbidden: the choice lasts as long as the page
  }
  dispatchEvent(new Event('themechange'));
}

export function isDark(): boolean {
  const { theme } = document.documentElement.dataset;
  return theme === 'dark' || (theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
}

/** Calls back when the colors of the page change. Returns how to stop. */
export function onThemeChange(listener: () => void): () => void {
  const system = matchMedia('(prefers-color-scheme: dark)');
  addEventListener('themechange', listener);
  system.addEventListener('change', listener);
  return () => {
    removeEventListener('themechange', listener);
    system.removeEventListener('change', listener);
  };
}
