import { answer, api, type Schemas } from '@/api/client';
import { save } from '@/api/save';

const FILE_NAME = 'crosszone-trace.json';

/** Save the timeline as the file that `crosszone simulate -o` writes, for ui.perfetto.dev. Throws `Problem`. */
export async function savePerfetto(body: Schemas['SimulateArguments']): Promise<void> {
  const packed = await answer(
    api.POST('/api/v1/simulate', { body, headers: { Accept: 'application/gzip' }, parseAs: 'blob' }),
  );
  const stream = (packed as unknown as Blob).stream().pipeThrough(new DecompressionStream('gzip'));
  const blob = await new Response(stream).blob();
  save(new Blob([blob], { type: 'application/json' }), FILE_NAME);
}
