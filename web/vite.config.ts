import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

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
  },
  server: {
    fs: { allow: ['..'] },
    proxy: Object.fromEntries(['/api', '/healthz', '/readyz'].map((path) => [path, 'http://127.0.0.1:8000'])),
  },
  test: { environment: 'node', include: ['tests/**/*.test.{ts,tsx}'], css: false },
});
