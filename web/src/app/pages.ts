/**
 * The pages, found by their place: each folder of `pages` has a `page.ts` that says what it is called and how to load
 * it. Nothing here names one.
 */
import type { LucideIcon } from 'lucide-react';
import { lazy, type ComponentType } from 'react';

import type { Text } from '@/i18n/languages';

export interface Page {
  /** Of the address, as "/plan"; also the name of its folder and of its texts. */
  path: string;
  title: Text;
  icon: LucideIcon;
  /** Place in the navigation, from the top. */
  order: number;
  /** Pressed after "g". */
  shortcut: string;
  /** Where the address goes on below the page, as "/:id". */
  more?: string;
  /** Other addresses that lead to it, each with the one that it stands for. */
  also?: Readonly<Record<string, string>>;
  /** Whether it shows the ranked plans of the job: they are asked for before the page is there. */
  looksAtPlan?: boolean;
  load: () => Promise<{ default: ComponentType }>;
}

const FOUND = import.meta.glob<Page>('../pages/*/page.ts', { eager: true, import: 'page' });

export const PAGES = Object.values(FOUND)
  .sort((one, other) => one.order - other.order)
  .map((page) => ({ ...page, Component: lazy(page.load) }));

/** The page of an address; that of the bare one is the first. */
export function pageAt(pathname: string) {
  if (pathname === '/') return PAGES[0];
  return PAGES.find(({ path }) => pathname === path || pathname.startsWith(`${path}/`));
}
