import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { Fault } from '../draw/fault.js';
import type { Download, Engine, ModelSize, ModelSource } from '../compute/protocol.js';
import { messageOf } from '../../../reference/lib/errors.js';

interface OwnModelProps {
  engine: Engine;
  /** The address in the page's own address, which is proposed and not downloaded unasked. */
  proposed: string;
  /** Another model is open; the address is empty for a folder and for the demo. */
  onOpen: (address: string) => void;
  /** Whether a model of the reader's is open. */
  isOwn: boolean;
}

/** What is going on: nothing, a look at the size, a question, a download. */
type Stage =
  | { at: 'rest'; error?: string }
  | { at: 'looking'; abort: AbortController }
  | { at: 'found'; source: ModelSource; size: ModelSize }
  | { at: 'opening'; source: ModelSource; size: ModelSize; abort: AbortController; progress: Download | null };

/** Opens a model of the reader's: from a folder, the Hugging Face Hub or a URL. It says the size first. */
export function OwnModel({ engine, proposed, onOpen, isOwn }: OwnModelProps): JSX.Element {
  const [stage, setStage] = useState<Stage>({ at: 'rest' });
  const [address, setAddress] = useState(proposed);
  const details = useRef<HTMLDetailsElement>(null);
  const isBusy = stage.at === 'looking' || stage.at === 'opening';

  async function look(source: ModelSource): Promise<void> {
    const abort = new AbortController();
    setStage({ at: 'looking', abort });
    try {
      const size = await engine.sizeOf(source);
      if (!abort.signal.aborted) setStage({ at: 'found', source, size });
    } catch (error) {
      if (!abort.signal.aborted) setStage({ at: 'rest', error: messageOf(error) });
    }
  }

  async function open(source: ModelSource | null, size: ModelSize): Promise<void> {
    const abort = new AbortController();
    const show = (progress: Download | null): void => {
      if (source) setStage({ at: 'opening', source, size, abort, progress });
    };
    show(null);
    try {
      for await (const progress of engine.open(source, abort.signal)) show(progress);
      setStage({ at: 'rest' });
      details.current?.removeAttribute('open');
      onOpen(source && 'address' in source ? source.address.trim() : '');
    } catch (error) {
      setStage(abort.signal.aborted ? { at: 'rest' } : { at: 'rest', error: messageOf(error) });
    }
  }

  return (
    <details class="own" ref={details} open={proposed !== '' && !isOwn}>
      <summary>Use another model</summary>
      <p>
        A model folder has <code>config.json</code>, <code>model.safetensors</code> and <code>tokenizer.json</code>. A
        folder of yours is read where it lies and goes nowhere. A download is kept in this browser.
      </p>
      <label>
        <span class="label">A folder on this computer</span>
        <input
          type="file"
          ref={(input) => {
            input?.setAttribute('webkitdirectory', '');
          }}
          disabled={isBusy}
          onChange={(event) => {
            const files = [...(event.currentTarget.files ?? [])];
            event.currentTarget.value = '';
            if (files.length > 0) void look({ files });
          }}
        />
      </label>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void look({ address });
        }}
      >
        <label>
          <span class="label">Or an id on the Hugging Face Hub, or a folder’s URL</span>
          <input
            type="text"
            name="model"
            placeholder="org/name"
            required
            autocomplete="off"
            spellcheck={false}
            value={address}
            onInput={(event) => {
              setAddress(event.currentTarget.value);
            }}
          />
        </label>
        <button type="submit" class="quiet" disabled={isBusy}>
          Look up its size
        </button>
      </form>
      <div role="status">
        {stage.at === 'looking' && <p>Looking it up…</p>}
        {stage.at === 'found' && (
          <p data-size={stage.size.bytes}>
            {`${stage.size.name}: ${megabytes(stage.size.bytes)}`}
            {stage.size.bytes !== null && stage.size.bytes > 1e9 && '. This page may need twice that in memory'}
          </p>
        )}
        {stage.at === 'opening' && <Progress progress={stage.progress} name={stage.size.name} />}
      </div>
      {stage.at === 'found' && (
        <button
          type="button"
          class="primary"
          onClick={() => {
            void open(stage.source, stage.size);
          }}
        >
          {'files' in stage.source ? 'Open it' : 'Download and open it'}
        </button>
      )}
      {isBusy && (
        <button
          type="button"
          class="quiet"
          onClick={() => {
            stage.abort.abort();
            setStage({ at: 'rest' });
          }}
        >
          Cancel
        </button>
      )}
      {stage.at === 'rest' && stage.error !== undefined && <Fault message={stage.error} />}
      {isOwn && (
        <button
          type="button"
          class="quiet"
          disabled={isBusy}
          onClick={() => {
            void open(null, { name: 'demo', bytes: null });
          }}
        >
          Back to the demo model
        </button>
      )}
    </details>
  );
}

function Progress({ progress, name }: { progress: Download | null; name: string }): JSX.Element {
  if (!progress) return <p>{`Opening ${name}…`}</p>;
  const { file, done, total } = progress;
  return (
    <p>
      {`${file}: ${megabytes(done)}${total > 0 ? ` of ${megabytes(total)}` : ''} `}
      {total > 0 && <progress max={total} value={done} aria-label={file} />}
    </p>
  );
}

function megabytes(bytes: number | null): string {
  if (bytes === null) return 'the server does not say its size';
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
