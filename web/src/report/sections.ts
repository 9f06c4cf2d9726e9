/** What a report is made of, in its order; the names are of its texts, and of the fragments of its address. */
export const SECTIONS = ['plan', 'strategy', 'map', 'communication', 'timeline', 'job'] as const;

export type SectionName = (typeof SECTIONS)[number];
