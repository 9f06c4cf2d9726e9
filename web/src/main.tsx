import '@mantine/core/styles.css';
import './theme/global.css';

import { createRoot } from 'react-dom/client';

import { App } from './app/App';
import { startTexts } from './i18n';

await startTexts();
const root = document.getElementById('root');
if (root != null) createRoot(root).render(<App />);
