import type { ComponentType } from 'preact';
import { Ask } from './ask.js';
import { ChangeIt } from './change.js';
import { Lens } from './lens.js';
import type { ViewName } from './names.js';
import type { ViewProps } from './props.js';
import { Trust } from './trust.js';
import { Walk } from './walk.js';

export interface View {
  title: string;
  /** One line under the title. */
  lead: string;
  component: ComponentType<ViewProps>;
  /** Whether it shows the same for every prompt. */
  isWithoutPrompt?: true;
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
  change: {
    title: 'Change it',
    lead: 'Switch off a head, swap two tokens’ codes, or carry a state over from another question. See which predictions move.',
    component: ChangeIt,
  },
  trust: {
    title: 'Trust',
    lead: 'Everything that can compute in this browser, against PyTorch in float64, op by op. The check runs now, here.',
    component: Trust,
    isWithoutPrompt: true,
  },
};
