import { memo, useMemo } from 'react';

import classes from './CodeView.module.css';
import { tokens, type CodeLanguage } from './highlight';

interface Props {
  text: string;
  language: CodeLanguage;
  /** What the text is, for who cannot see it. */
  label: string;
  /** Without it the text is only read. */
  onChange?: (text: string) => void;
}

/**
 * A text with line numbers and syntax colours. What is typed into is a plain text field, with all that a browser gives
 * one, transparent over the coloured text. Fills the height of what it is in.
 */
export function CodeView({ text, language, label, onChange }: Props) {
  const lines = useMemo(() => text.split('\n'), [text]);
  const isRead = onChange == null;
  return (
    <div className={classes.view} {...(isRead ? { role: 'region', 'aria-label': label, tabIndex: 0 } : {})}>
      <div className={classes.sheet}>
        <pre className={classes.code} aria-hidden={!isRead}>
          {lines.map((line, index) => (
            <Line key={index} line={line} language={language} />
          ))}
        </pre>
        {!isRead && (
          <textarea
            className={classes.input}
            aria-label={label}
            value={text}
            spellCheck={false}
            autoCapitalize="off"
            onChange={(event) => {
              onChange(event.currentTarget.value);
            }}
          />
        )}
      </div>
    </div>
  );
}

const Line = memo(function Line({ line, language }: { line: string; language: CodeLanguage }) {
  return (
    <span className={classes.line}>
      {tokens(line, language).map(({ text, kind }, index) => (
        <span key={index} data-kind={kind}>
          {text}
        </span>
      ))}
      {'\n'}
    </span>
  );
});
