/** What `crosszone report` wrote into the page. */
import type { Job, Path } from '@/job/path';

export interface Content {
  /** Of the program that wrote it. */
  version: string;
  created_seconds: number;
  /** The job, by its keys and as the text of its file. */
  job: Job;
  text: string;
  /** Which of the ranked plans it is about, counted from 1. */
  chosen: number;
  /** What the timeline was asked for. */
  most_slices: number;
  answers: readonly Answered[];
}

/** A request and what the engine says to it. */
export interface Answered {
  path: string;
  body: unknown;
  is_refused: boolean;
  answer: unknown;
  /** Its sentences in Chinese, each with its place. */
  chinese: readonly { place: Path; text: string }[];
}

export function readContent(): Content {
  return JSON.parse(document.getElementById('report')?.textContent ?? '') as Content;
}
