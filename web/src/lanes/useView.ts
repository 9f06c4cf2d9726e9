import { useCallback, useReducer } from 'react';

/** The part of the time that is in sight. */
export interface Span {
  startSeconds: number;
  endSeconds: number;
}

export type Move =
  | { kind: 'fit'; whole: Span }
  | { kind: 'show'; span: Span }
  /** `factor` below 1 comes nearer; `at` is the fraction of the width that stays where it is. */
  | { kind: 'zoom'; factor: number; at: number }
  /** By a fraction of the width. */
  | { kind: 'pan'; fraction: number };

interface State extends Span {
  whole: Span;
}

const SMALLEST_SHARE = 1e-6; // of the whole that can be in sight

/** What is in sight of `whole`, and how to move it; never beyond its ends. */
export function useView(whole: Span) {
  const [state, dispatch] = useReducer(moved, { ...whole, whole });
  if (state.whole.endSeconds !== whole.endSeconds || state.whole.startSeconds !== whole.startSeconds) {
    dispatch({ kind: 'fit', whole });
  }
  const move = useCallback((next: Move) => {
    dispatch(next);
  }, []);
  return [state, move] as const;
}

export function moved(state: State, move: Move): State {
  const { whole } = state;
  const width = state.endSeconds - state.startSeconds;
  switch (move.kind) {
    case 'fit':
      return { ...move.whole, whole: move.whole };
    case 'show':
      return within(whole, move.span.startSeconds, move.span.endSeconds - move.span.startSeconds);
    case 'zoom': {
      const fixed = state.startSeconds + move.at * width;
      return within(whole, fixed - move.at * width * move.factor, width * move.factor);
    }
    case 'pan':
      return within(whole, state.startSeconds + move.fraction * width, width);
  }
}

function within(whole: Span, start: number, width: number): State {
  const most = whole.endSeconds - whole.startSeconds;
  const size = Math.min(Math.max(width, most * SMALLEST_SHARE), most);
  const first = Math.min(Math.max(start, whole.startSeconds), whole.endSeconds - size);
  return { startSeconds: first, endSeconds: first + size, whole };
}
