import { useEffect, useRef } from 'react';
import { useNavigate } from 'react-router';

import { PAGES } from './pages';

const SEQUENCE_MILLISECONDS = 1200;

/** "g" and a letter goes to a page, "?" tells of all of them; nothing where a person is typing. */
export function useShortcuts(onHelp: () => void): void {
  const navigate = useNavigate();
  const leader = useRef(0);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      const isSecond = event.timeStamp - leader.current < SEQUENCE_MILLISECONDS;
      leader.current = event.key === 'g' ? event.timeStamp : 0;
      if (event.key === '?') onHelp();
      const page = PAGES.find(({ shortcut }) => shortcut === event.key);
      if (isSecond && page != null) void navigate(page.path);
    };
    addEventListener('keydown', onKey);
    return () => {
      removeEventListener('keydown', onKey);
    };
  }, [navigate, onHelp]);
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}
