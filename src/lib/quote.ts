/** The characters of a value that a message shows. */
const MAX_SHOWN = 100;

/** Formats a value from a file for a message: JSON on one line, cut after 100 characters. */
export function quote(value: unknown): string {
  return visible(cut(preview(value)));
}

/** Formats a tensor's name for a message: unquoted, unless it is unusual. */
export function plain(name: string): string {
  return /^[\w.:/-]{1,200}$/.test(name) ? name : quote(name);
}

/** Escapes line ends, terminal control codes and the like, which names in a file may contain. */
export function visible(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, escape);
}

/**
 * Escapes what a text may do to a terminal or a page, and leaves what is text: line ends, tabs, and the joiners of Arabic
 * and Indic scripts and of emoji. Control codes, lone surrogates, and marks that reverse the order of the line are escaped.
 */
export function visibleText(text: string): string {
  return text.replace(/(?![\n\t])[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, escape);
}

function escape(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}

/** The message of another library's error, on one line and cut: it may repeat what a file contains. */
export function foreignMessage(error: unknown): string {
  return visible(cut(error instanceof Error ? error.message : String(error), 200));
}

function cut(text: string, length = MAX_SHOWN): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

/**
 * The beginning of a value's JSON. JSON.stringify would write all of it first, and overflow the stack if it is deep. Here
 * each level adds a character, so the length limits the depth too.
 */
function preview(value: unknown): string {
  let text = '';
  const isFull = (): boolean => text.length > MAX_SHOWN;
  function addList(list: readonly unknown[]): void {
    text += '[';
    for (let i = 0; i < list.length && !isFull(); i++) {
      if (i > 0) text += ',';
      add(list[i]);
    }
    text += ']';
  }
  function addObject(object: Readonly<Record<string, unknown>>): void {
    text += '{';
    let separator = '';
    for (const key in object) {
      if (isFull()) break;
      text += `${separator}${scalar(key)}:`;
      add(object[key]);
      separator = ',';
    }
    text += '}';
  }
  function add(part: unknown): void {
    if (Array.isArray(part)) addList(part);
    else if (typeof part === 'object' && part !== null) addObject(part as Record<string, unknown>);
    else text += scalar(part);
  }
  add(value);
  return text;
}

/** A value that is neither a list nor an object. JSON has no word for some that JavaScript callers can pass. */
function scalar(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, MAX_SHOWN + 1));
  return Object.is(value, -0) ? '0' : String(value);
}
