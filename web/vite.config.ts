import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

/**
 * What most pages need is one file each, not sixty: a first visit waits for every request. What one page alone needs
 * (maps, scales of charts) stays with it.
 */
const CHUNKS = [
  { name: 'vendor', test: /node_modules\/(?!d3-|topojson|world-atlas|internmap)/, minShareCount: 3, priority: 2 },
  { name: 'shared', test: /src\/(api|app|i18n|inventory|job|theme|ui)\/.*\.tsx?$/, minShareCount: 4, priority: 1 },
  { name: 'texts-en', test: /src\/i18n\/en\// },
  { name: 'texts-zh', test: /src\/i18n\/zh\// },
];

/** What is built is package data: `crosszone serve` serves it. `npm run dev` asks a server on port 8000. */
export default defineConfig({
  plugins: [react()],
  resolve: { alias: { '@': new URL('./src', import.meta.url).pathname } },
  build: {
    outDir: '../src/crosszone/server/web',
    emptyOutDir: true,
    assetsInlineLimit: 0, // the content security policy takes scripts and fonts from files alone
    license: { fileName: 'licenses.md' },
    chunkSizeWarningLimit: 800,
    rolldownOptions: { output: { codeSplitting: { groups: CHUNKS } } },
  },
  server: {
    fs: { allow: ['..'] },
    proxy: Object.fromEntries(['/api', '/healthz', '/readyz'].map((path) => [path, 'http://127.0.0.1:8000'])),
  },
  test: { environment: 'node', include: ['tests/**/*.test.{ts,tsx}'], css: false },
});
