import type { ComponentType } from 'preact';
import type { Engine } from '../compute/protocol.js';
import type { Store } from '../state.js';
import { Ask } from './ask.js';
import { Lens } from './lens.js';
import type { ViewName } from './names.js';
import { Walk } from './walk.js';

/** What every view gets. It keeps no state outside of these and of itself, so it can stand twice on a page. */
export interface ViewProps {
  engine: Engine;
  store: Store;
}

export interface View {
  title: string;
  /** One line under the title. */
  lead: string;
  component: ComponentType<ViewProps>;
}

export const VIEWS: Readonly<Record<ViewName, View>> = {
  ask: {
    title: 'Ask',
    lead: 'The model answers one token at a time. Pick any token to see its rivals, and pick a rival to go on from there.',
    component: Ask,
  },
  walk: {
    title: 'The walk',
    lead: 'One forward pass, op by op: the formula, the source that ran, and the numbers it read and wrote.',
    component: Walk,
  },
  lens: {
    title: 'The lens',
    lead: 'What the model would predict after each token if it stopped after each layer.',
    component: Lens,
  },
};
