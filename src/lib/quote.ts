/** A value from a file as messages show it: as JSON, on one line, and not for ever. */
export function quote(value: unknown): string {
  const text = value === undefined ? 'undefined' : JSON.stringify(value);
  return visible(text.length > 100 ? `${text.slice(0, 99)}…` : text);
}

/** A tensor's name as messages show it: bare, unless it needs quotes. */
export function plain(name: string): string {
  return /^[\w.:/-]{1,200}$/.test(name) ? name : quote(name);
}

/** Line ends, terminal commands and the like, which a file may hold in its names, as escapes. */
export function visible(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}
