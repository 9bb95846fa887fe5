/**
 * Checks of JSON text that `JSON.parse` does not make. Both walk over it once with a loop: a header may be 100 MB, and
 * regular expressions run out of stack on a string of that length.
 */

const [QUOTE, BACKSLASH, COLON] = [0x22, 0x5c, 0x3a];
const [OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x7b, 0x7d, 0x5b, 0x5d];

/** How deeply objects and lists lie in one another; the text need not be valid. */
export function nesting(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) i = endOfString(text, i);
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) deepest = Math.max(deepest, ++depth);
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--;
  }
  return deepest;
}

/** The first key that one object of valid JSON has twice, else null: `JSON.parse` would keep the last and say nothing. */
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

/** Where the string that begins at `start` has its closing quote, or the end of the text where it has none. */
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
