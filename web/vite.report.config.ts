import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

const PAGE = 'report.html';
const LICENSES = 'licenses.md';

/** The page of reports: one file with all that it needs, into which `crosszone report` writes what it shows. */
export default defineConfig({
  plugins: [react(), inOneFile()],
  resolve: { alias: { '@': new URL('./src', import.meta.url).pathname } },
  publicDir: false,
  build: {
    outDir: '../src/crosszone/service/web',
    emptyOutDir: true,
    assetsInlineLimit: Number.MAX_SAFE_INTEGER, // fonts and the map of the land are part of the file
    cssCodeSplit: false,
    modulePreload: false,
    license: { fileName: LICENSES },
    chunkSizeWarningLimit: 2000,
    rolldownOptions: { input: PAGE, output: { codeSplitting: false } },
  },
});

/** Scripts, styles and licenses into the page, which may run that script alone and ask nobody for anything. */
function inOneFile(): Plugin {
  return {
    name: 'in-one-file',
    writeBundle({ dir = '' }, bundle) {
      const names = Object.keys(bundle);
      const take = (ending: string) => {
        const [name, ...more] = names.filter((each) => each.endsWith(ending));
        if (name == null || more.length > 0)
          throw new Error(`one file *${ending} is to go into ${PAGE}: ${names.join()}`);
        const text = readFileSync(join(dir, name), 'utf8');
        rmSync(join(dir, name));
        return text;
      };
      const script = take('.js').replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--');
      const parts = [
        `<meta http-equiv="Content-Security-Policy" content="${policy(script)}" />`,
        `<style>${take('.css')}</style>`,
        `<script type="text/markdown">\n${take(LICENSES).replaceAll('<', '&lt;')}</script>`,
        `<script type="module">${script}</script>`,
      ];
      const bare = take(PAGE).replace(/<(script type="module"|link rel="stylesheet")[^>]*>(<\/script>)?/g, '');
      rmSync(join(dir, 'assets'), { recursive: true, force: true });
      writeFileSync(
        join(dir, PAGE),
        bare.replace('</head>', () => `${parts.join('\n')}\n</head>`),
      );
    },
  };
}

function policy(script: string): string {
  const digest = createHash('sha256').update(script).digest('base64');
  const inline = { styles: "style-src 'unsafe-inline'", data: 'img-src data:; font-src data:; connect-src data:' };
  return `default-src 'none'; script-src 'sha256-${digest}'; ${inline.styles}; ${inline.data}; base-uri 'none'; form-action 'none'`;
}
