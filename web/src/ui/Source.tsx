import { Anchor } from '@mantine/core';

/** What is an address in a citation, or stands for one. */
const ADDRESS = /(https?:\/\/[^\s,;)]+|arXiv[ :]\d{4}\.\d{4,5})/;

/** Where a fact is from: what is an address in its citation can be followed. */
export function Source({ text, url = '' }: { text: string; url?: string }) {
  if (url !== '') return <Away href={url}>{text}</Away>;
  return text.split(ADDRESS).map((part, index) =>
    index % 2 === 0 ? (
      part
    ) : (
      <Away key={part} href={addressOf(part)}>
        {part}
      </Away>
    ),
  );
}

function Away({ href, children }: { href: string; children: string }) {
  return (
    <Anchor
      href={href}
      target="_blank"
      rel="noreferrer"
      underline="always"
      inherit
      style={{ overflowWrap: 'anywhere' }}
    >
      {children}
    </Anchor>
  );
}

function addressOf(part: string): string {
  return part.replace(/^arXiv[ :]/, 'https://arxiv.org/abs/');
}
