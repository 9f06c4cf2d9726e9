/** Some browsers read a file only after the click that asks for it. */
const READ_MILLISECONDS = 60_000;

/** Hand a file to the browser as a download. */
export function save(content: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => {
    URL.revokeObjectURL(link.href);
  }, READ_MILLISECONDS);
}
