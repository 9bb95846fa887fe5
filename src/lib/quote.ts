/** Formats a value from a file for a message: JSON on one line, cut after 100 characters. */
export function quote(value: unknown): string {
  const text = value === undefined ? 'undefined' : JSON.stringify(value);
  return visible(text.length > 100 ? `${text.slice(0, 99)}…` : text);
}

/** Formats a tensor's name for a message: unquoted, unless it is unusual. */
export function plain(name: string): string {
  return /^[\w.:/-]{1,200}$/.test(name) ? name : quote(name);
}

/** Escapes line ends, terminal control codes and the like, which names in a file may contain. */
export function visible(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}
