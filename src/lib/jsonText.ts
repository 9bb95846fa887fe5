/**
 * Checks of JSON text that `JSON.parse` does not make. Both use one loop over the text, because a header may have 100 MB,
 * and regular expressions overflow the stack on a string of that length.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** The nesting depth of objects and lists. The text need not be valid JSON. */
export function nesting(text: string): number {
  let depth = 0;
  let maxDepth = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) i = endOfString(text, i);
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) depth++;
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--;
    maxDepth = Math.max(maxDepth, depth);
  }
  return maxDepth;
}

/**
 * The first key that appears twice in one object of valid JSON; null if none does. `JSON.parse` silently keeps the last
 * one.
 */
export function duplicateKey(text: string): string | null {
  const objects: Set<string>[] = [];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === OPEN_BRACE) objects.push(new Set());
    else if (code === CLOSE_BRACE) objects.pop();
    else if (code === QUOTE) {
      const start = i;
      i = endOfString(text, i);
      if (!isFollowedByColon(text, i)) continue;
      const key = JSON.parse(text.slice(start, i + 1)) as string; // "a" and "\u0061" are the same key
      const keys = objects[objects.length - 1];
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return null;
}

/** The index of the closing quote of the string that begins at `start`, or the length of the text if it is missing. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  for (; i < text.length && text.charCodeAt(i) !== QUOTE; i++) {
    if (text.charCodeAt(i) === BACKSLASH) i++;
  }
  return i;
}

function isFollowedByColon(text: string, end: number): boolean {
  let i = end + 1;
  while (' \t\n\r'.includes(text.charAt(i)) && i < text.length) i++;
  return text.charCodeAt(i) === COLON;
}

/** Whether the text contains half of a surrogate pair, which JSON can express but UTF-8 cannot. */
export function hasLoneSurrogate(text: string): boolean {
  return /\p{Surrogate}/u.test(text);
}
