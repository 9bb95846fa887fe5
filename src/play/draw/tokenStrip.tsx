import type { JSX } from 'preact';
import type { TokenInfo } from '../compute/protocol.js';
import { Token } from './text.js';

interface TokenStripProps {
  tokens: readonly TokenInfo[];
  current: number;
  href: (token: number) => string;
}

/** The prompt as links, one a token. */
export function TokenStrip({ tokens, current, href }: TokenStripProps): JSX.Element {
  return (
    <ol class="strip" aria-label="Tokens of the prompt">
      {tokens.map(({ text }, n) => (
        <li key={n}>
          <a href={href(n)} aria-current={n === current ? 'true' : undefined}>
            <Token text={text} />
          </a>
        </li>
      ))}
    </ol>
  );
}
