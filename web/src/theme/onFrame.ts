let isPrinting = false;
addEventListener('beforeprint', () => {
  isPrinting = true;
});
addEventListener('afterprint', () => {
  isPrinting = false;
});

/** Draw with the next frame, or at once on paper, for which no frame comes. Returns what calls it off. */
export function onFrame(draw: () => void): () => void {
  if (isPrinting) {
    draw();
    return () => undefined;
  }
  const frame = requestAnimationFrame(draw);
  return () => {
    cancelAnimationFrame(frame);
  };
}
