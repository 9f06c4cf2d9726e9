import { expect, it } from 'vitest';

import { readEvents, type ServerEvent } from '@/api/events';

it('puts events together that arrive in pieces', async () => {
  const text = ': hello\n\nid: 7\nevent: state\ndata: {"state":\ndata: "running"}\n\nid: 8\ndata: 1\n\ndata: 2';
  const bytes = new TextEncoder().encode(text);
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  const events: ServerEvent[] = [];
  await readEvents(stream, (event) => events.push(event));
  expect(events).toEqual([
    { id: '7', type: 'state', data: { state: 'running' } },
    { id: '8', type: 'message', data: 1 },
  ]);
});
