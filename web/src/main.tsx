import '@mantine/core/styles.layer.css';
import './theme/global.css';

import { createRoot } from 'react-dom/client';

import { App } from './app/App';
import { askAhead } from './app/askAhead';
import { pageAt } from './app/pages';
import { startTexts } from './i18n';

const page = pageAt(location.pathname);
const texts = startTexts(page?.path.slice(1));
void page?.load();
void askAhead(page).catch(() => undefined);
await texts;
const root = document.getElementById('root');
if (root != null) createRoot(root).render(<App />);
