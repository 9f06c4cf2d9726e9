/** CodeMirror with the languages of our files. Loaded when the first text is shown: use `CodeView`. */
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { HighlightStyle, StreamLanguage, syntaxHighlighting, type StreamParser } from '@codemirror/language';
import { json } from '@codemirror/legacy-modes/mode/javascript';
import { python } from '@codemirror/legacy-modes/mode/python';
import { shell } from '@codemirror/legacy-modes/mode/shell';
import { toml } from '@codemirror/legacy-modes/mode/toml';
import { yaml } from '@codemirror/legacy-modes/mode/yaml';
import { EditorState } from '@codemirror/state';
import { EditorView, highlightActiveLine, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'react';

export type CodeLanguage = 'yaml' | 'json' | 'python' | 'shell' | 'toml' | 'text';

interface Props {
  text: string;
  language: CodeLanguage;
  label: string;
  /** Without it the text is only read. */
  onChange?: ((text: string) => void) | undefined;
}

const PARSERS: Record<Exclude<CodeLanguage, 'text'>, StreamParser<unknown>> = { yaml, json, python, shell, toml };
const COLOURS = HighlightStyle.define([
  { tag: [tags.keyword, tags.atom, tags.bool], color: 'var(--cz-pp)' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--cz-tp)' },
  { tag: [tags.number, tags.meta], color: 'var(--cz-dp)' },
  { tag: tags.comment, color: 'var(--mantine-color-dimmed)', fontStyle: 'italic' },
  { tag: [tags.propertyName, tags.definition(tags.variableName), tags.tagName], color: 'var(--cz-compute)' },
]);
const LOOK = EditorView.theme({
  '&': { height: '100%', fontSize: 'var(--mantine-font-size-xs)', backgroundColor: 'transparent' },
  '.cm-scroller': { fontFamily: 'var(--mantine-font-family-monospace)', lineHeight: '1.6' },
  '.cm-gutters': { backgroundColor: 'transparent', border: 'none', color: 'var(--mantine-color-dimmed)' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'color-mix(in srgb, currentColor 4%, transparent)' },
  '&.cm-focused .cm-cursor': { borderLeftColor: 'currentColor' },
  '&.cm-focused': { outline: 'none' },
});

export default function CodeEditor({ text, language, label, onChange }: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const changed = useRef(onChange);
  const isReadOnly = onChange == null;
  useEffect(() => {
    changed.current = onChange;
  }, [onChange]);

  useEffect(() => {
    const made = new EditorView({ parent: holder.current ?? document.body });
    view.current = made;
    return () => {
      made.destroy();
    };
  }, []);

  useEffect(() => {
    const extensions = [
      [lineNumbers(), history(), highlightActiveLine(), syntaxHighlighting(COLOURS), LOOK],
      keymap.of([...defaultKeymap, ...historyKeymap, ...(isReadOnly ? [] : [indentWithTab])]),
      language === 'text' ? [] : StreamLanguage.define(PARSERS[language]),
      EditorView.contentAttributes.of({ 'aria-label': label }),
      EditorState.readOnly.of(isReadOnly),
      EditorView.updateListener.of((update) => {
        const isOurs = update.transactions.some((transaction) => transaction.isUserEvent('from.outside'));
        if (update.docChanged && !isOurs) changed.current?.(update.state.doc.toString());
      }),
    ];
    view.current?.setState(EditorState.create({ doc: view.current.state.doc, extensions }));
  }, [language, label, isReadOnly]);

  useEffect(() => {
    const made = view.current;
    const before = made?.state.doc.toString();
    if (made == null || before === text) return;
    made.dispatch({ changes: { from: 0, to: made.state.doc.length, insert: text }, userEvent: 'from.outside' });
  }, [text, language, label, isReadOnly]);

  return <div ref={holder} style={{ height: '100%' }} />;
}
