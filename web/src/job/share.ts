/** A job in the fragment of an address, which no server sees: its text, deflated, as base64 for URLs. */
const KEY = 'job';

export async function jobToHash(text: string): Promise<string> {
  const packed = new Uint8Array(await through(new Blob([text]), new CompressionStream('deflate-raw')));
  const binary = Array.from(packed, (byte) => String.fromCharCode(byte)).join('');
  return `#${KEY}=${btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')}`;
}

/** The text of the job in a fragment; null where there is none, or it is broken. */
export async function jobFromHash(hash: string): Promise<string | null> {
  const packed = new URLSearchParams(hash.replace(/^#/, '')).get(KEY);
  if (packed == null) return null;
  try {
    const binary = atob(packed.replaceAll('-', '+').replaceAll('_', '/'));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    return new TextDecoder().decode(await through(new Blob([bytes]), new DecompressionStream('deflate-raw')));
  } catch {
    return null;
  }
}

function through(blob: Blob, stream: CompressionStream | DecompressionStream): Promise<ArrayBuffer> {
  return new Response(blob.stream().pipeThrough(stream)).arrayBuffer();
}
