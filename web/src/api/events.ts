/**
 * Server-sent events. `EventSource` can show no token, so the stream is read here; it is taken up again where it broke,
 * by `Last-Event-ID`, until the server says that there is no more (204) or `signal` aborts.
 */
import { offline, problemOf } from './problem';
import { token } from './token';

export interface ServerEvent {
  id: string;
  /** "message" where the server names none. */
  type: string;
  data: unknown;
}

interface Options {
  signal: AbortSignal;
  onEvent: (event: ServerEvent) => void;
  /** True while events come, false while the stream is taken up again. */
  onConnection?: (isOpen: boolean) => void;
  /** Go on behind this event. */
  lastId?: string;
}

const RETRY_SECONDS = 2;

/** Follow `path` until it ends. Throws `Problem` where the server refuses it. */
export async function followEvents(path: string, options: Options): Promise<void> {
  let lastId = options.lastId ?? '';
  const onEvent = (event: ServerEvent) => {
    lastId = event.id || lastId;
    options.onEvent(event);
  };
  while (!options.signal.aborted) {
    try {
      const isOver = await readOnce(path, lastId, { ...options, onEvent });
      if (isOver) return;
    } catch (error) {
      if (options.signal.aborted) return;
      if (!(error instanceof TypeError)) throw error; // a TypeError is what fetch says of a broken connection
    }
    options.onConnection?.(false);
    await new Promise((resolve) => setTimeout(resolve, RETRY_SECONDS * 1000));
  }
}

async function readOnce(path: string, lastId: string, options: Options): Promise<boolean> {
  const headers: Record<string, string> = { Accept: 'text/event-stream' };
  if (lastId !== '') headers['Last-Event-ID'] = lastId;
  if (token() !== '') headers['Authorization'] = `Bearer ${token()}`;
  const response = await fetch(path, { headers, signal: options.signal });
  if (response.status === 204) return true;
  if (!response.ok) throw problemOf(response.status, await response.json().catch(() => null));
  if (response.body == null) throw offline(null);
  options.onConnection?.(true);
  await readEvents(response.body, options.onEvent);
  return false;
}

/** Read a stream of events to its end; what a proxy cuts in two is put together. */
export async function readEvents(stream: ReadableStream<Uint8Array>, onEvent: Options['onEvent']): Promise<void> {
  const reader = stream.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>).getReader();
  let rest = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const blocks = (rest + part.value.replaceAll('\r', '')).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = parsed(block);
      if (event != null) onEvent(event);
    }
  }
}

function parsed(block: string): ServerEvent | null {
  const fields = { id: '', event: 'message', data: [] as string[] };
  for (const line of block.split('\n')) {
    const [, name = '', value = ''] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (name === 'data') fields.data.push(value);
    else if (name === 'id' || name === 'event') fields[name] = value;
  }
  if (fields.data.length === 0) return null; // a comment that keeps the connection open
  return { id: fields.id, type: fields.event, data: JSON.parse(fields.data.join('\n')) };
}
