import type { ComponentType } from 'preact';
import { Ask } from './ask.js';
import { Attention } from './attention.js';
import { ChangeIt } from './change.js';
import { Code } from './code.js';
import { Emergence } from './emergence.js';
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
  /** Whether the prompt changes nothing in it. */
  ignoresPrompt?: true;
}

export const VIEWS: Readonly<Record<ViewName, View>> = {
  ask: {
    title: 'Ask',
    lead: 'The model answers one token at a time. Pick any token to see its rivals, and pick a rival to go on from there.',
    component: Ask,
  },
  code: {
    title: 'The code',
    lead: 'A token enters as a few frozen random numbers. They mean nothing; all meaning is added by the layers.',
    component: Code,
  },
  walk: {
    title: 'The walk',
    lead: 'One forward pass, op by op: the formula, the source that ran, and the numbers it read and wrote.',
    component: Walk,
  },
  attention: {
    title: 'Attention',
    lead: 'Which earlier tokens each token takes from, in every head of every layer.',
    component: Attention,
  },
  lens: {
    title: 'The lens',
    lead: 'What the model would predict after each token if it stopped after each layer.',
    component: Lens,
  },
  emergence: {
    title: 'Emergence',
    lead: 'The codes of countries are random. Layer by layer, countries of one continent gather.',
    component: Emergence,
    ignoresPrompt: true,
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
    ignoresPrompt: true,
  },
};
