import '@mantine/core/styles.layer.css';
import '@/theme/global.css';

import { createRoot } from 'react-dom/client';

import { api } from '@/api/client';
import { queries } from '@/app/queries';
import { onLanguage } from '@/i18n/start';

import { answersOf } from './answers';
import { readContent } from './content';
import { Report } from './Report';
import { startTexts } from './texts';

const content = readContent();
api.use(answersOf(content));
await startTexts();
onLanguage(() => void queries.invalidateQueries()); // the engine's sentences are in the language of the page
const root = document.getElementById('root');
if (root != null) createRoot(root).render(<Report content={content} />);
