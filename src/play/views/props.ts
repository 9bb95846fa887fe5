import type { Engine } from '../compute/protocol.js';
import type { Store } from '../state.js';

/** What every view gets. It keeps no state outside of these and of itself, so it can stand twice on a page. */
export interface ViewProps {
  engine: Engine;
  store: Store;
}
