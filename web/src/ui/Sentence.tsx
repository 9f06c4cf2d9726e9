import type { ReactNode } from 'react';

/** A number with its unit or sign, or what stands between backticks. */
const PARTS = /(`[^`]+`|[+−-]?\d[\d.,]*(?:e[+-]?\d+)? (?:%|×|[kKMGTPEµmn]?[a-zA-Z]{1,4}(?:\/(?:s|h|GB))?)(?![a-zA-Z]))/;
const NUMBER = /^[+−-]?\d/;

/** A sentence of the engine: numbers stay with their units, and names of keys are set as code. */
export function Sentence({ children }: { children: string }): ReactNode {
  return children.split(PARTS).map((part, index) => {
    if (index % 2 === 0) return part;
    if (NUMBER.test(part))
      return (
        <span key={index} className="together">
          {part}
        </span>
      );
    return <code key={index}>{part.slice(1, -1)}</code>;
  });
}
