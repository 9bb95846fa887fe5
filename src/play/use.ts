import { messageOf } from '../../reference/lib/errors.js';
import { useEffect, useState } from 'preact/hooks';

/** Where a computation stands. While a new one runs, `value` is still the last one's. */
export interface Loading<Value> {
  value: Value | null;
  error: string | null;
  isPending: boolean;
}

/** The result of a promise that depends on `keys`. Late results of earlier keys are dropped. */
export function useLoaded<Value>(load: () => Promise<Value>, keys: readonly unknown[]): Loading<Value> {
  const [state, setState] = useState<Loading<Value>>({ value: null, error: null, isPending: true });
  useEffect(() => {
    let isCurrent = true;
    setState((before) => ({ ...before, isPending: true }));
    load().then(
      (value) => {
        if (isCurrent) setState({ value, error: null, isPending: false });
      },
      (error: unknown) => {
        if (isCurrent) setState({ value: null, error: messageOf(error), isPending: false });
      },
    );
    return () => {
      isCurrent = false;
    };
  }, keys);
  return state;
}
