import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { loadSource } from '../source.js';
import { useLoaded } from '../use.js';

/** The source of an op as it stands in `reference/`: its function, or the whole file. */
export function Source({ file }: { file: string }): JSX.Element {
  const [isWhole, setWhole] = useState(false);
  const { value, error } = useLoaded(() => loadSource(file), [file]);
  if (error !== null) return <p class="error">{error}</p>;
  if (!value) return <p class="waiting">Loading the source…</p>;
  const [start, end] = isWhole ? [0, value.lines.length - 1] : [value.start, value.end];
  return (
    <figure class="source">
      <figcaption>
        <span class="name">{`reference/${file}.ts`}</span>
        <button
          type="button"
          class="quiet"
          aria-pressed={isWhole}
          onClick={() => {
            setWhole(!isWhole);
          }}
        >
          {isWhole ? 'Show the function' : `Show all ${value.lines.length - 1} lines`}
        </button>
      </figcaption>
      {/* it scrolls sideways, so the keyboard must reach it */}
      <pre tabIndex={0} role="region" aria-label={`Source of ${file}`} data-source={file}>
        <code>
          {value.lines.slice(start, end).map((line, n) => (
            <span class="line" key={start + n}>
              <span class="number" aria-hidden="true">
                {start + n + 1}
              </span>
              {line.map(([text, kind], i) => (
                <span key={i} class={kind}>
                  {text}
                </span>
              ))}
              {'\n'}
            </span>
          ))}
        </code>
      </pre>
    </figure>
  );
}

/** What an op is for and its formula, from the docstring of its source. */
export function Explanation({ file }: { file: string }): JSX.Element | null {
  const { value } = useLoaded(() => loadSource(file), [file]);
  if (!value) return null;
  return (
    <>
      <p class="prose">{value.prose}</p>
      {value.formula !== '' && <Formula text={value.formula} />}
    </>
  );
}

/** A formula, and after it in smaller type what its letters mean, which the docstring puts after a comma and two spaces. */
function Formula({ text }: { text: string }): JSX.Element {
  return (
    <div class="formula">
      {text.split('\n').map((line, n) => {
        const [formula, where] = line.split(/,\s{2,}/) as [string, string?];
        return (
          <p key={n}>
            {formula} {where !== undefined && <small>{where}</small>}
          </p>
        );
      })}
    </div>
  );
}
