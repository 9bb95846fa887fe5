/** The views by their place in the navigation; gaps are for views to come. */
export const VIEW_NAMES = {
  ask: 1,
  code: 2,
  walk: 3,
  attention: 4,
  lens: 5,
  emergence: 6,
  change: 7,
  trust: 8,
} as const;

export type ViewName = keyof typeof VIEW_NAMES;
