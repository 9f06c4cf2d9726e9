"""Answers as large as pages are promised to stay fluid with, and how long their frames take."""

from __future__ import annotations

NUM_SLICES = 100_000
HUNDRED = 100
MANY_SLICES = """
const kinds = ['forward', 'backward', 'pipeline_send'];
const slicesOf = (count, stepSeconds) => Array.from({ length: count }, (_, index) => {
  const [start, lasting] = [(index * stepSeconds) / count, (0.9 * stepSeconds) / count];
  const times = { start_seconds: start, end_seconds: start + lasting, duration_seconds: lasting };
  const kind = kinds[index % 3];
  const rest = { depth: 0, num_spans: 1, busy_fraction: 1, moved_bytes: 0, args: {} };
  return { name: `${kind} ${index}`, category: kind, ...times, ...rest };
});
const detailOf = (stepSeconds, total, numTracks) => ({
  start_seconds: 0, end_seconds: stepSeconds, num_spans: total, is_merged: false,
  tracks: Array.from({ length: numTracks }, (_, stage) => ({
    track: { zone: 'east', node_group: 0, replica: 0, rank: null, to_zone: null, lane: 0, stage, stream: 'compute' },
    slices: slicesOf(Math.floor(total / numTracks) + (stage < total % numTracks ? 1 : 0), stepSeconds),
  })),
});
const fetched = window.fetch;
window.fetch = async (...asked) => {
  const response = await fetched(...asked);
  if (!response.url.endsWith('/api/v1/simulate')) return response;
  const answer = await response.json();
  const body = JSON.stringify({ ...answer, detail: detailOf(answer.step_seconds, NUM_SLICES, 15) });
  return new Response(body, { headers: { 'Content-Type': 'application/json' } });
};
const measure = performance.measure.bind(performance);
window.frameSeconds = [];
performance.measure = (...rest) => {
  document.querySelector('canvas[role=application]').getContext('2d').getImageData(0, 0, 1, 1);
  const entry = measure(...rest);
  window.frameSeconds.push(entry.duration / 1000);
  return entry;
};
""".replace("NUM_SLICES", str(NUM_SLICES))
"""As if a step had that many slices, over as many tracks as are in sight. Made in the page: it would be 25 MB to send.
A frame counts as drawn once its pixels can be read: a canvas puts them off. The page keeps the last one only."""
MOVES = "wwwwwwssssssaddd"
NEXT_FRAME = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
PANNED = """() => new Promise((done) => {
  const canvas = document.querySelector('[data-testid=map] canvas');
  const fire = (type, x) =>
    canvas.dispatchEvent(new PointerEvent(type, { clientX: 400 + x, clientY: 300 + x / 2, pointerId: 1 }));
  canvas.setPointerCapture = () => undefined; // there is no such pointer
  const work = [];
  let count = 0;
  const step = () => {
    const begun = performance.now();
    fire('pointermove', 2 * count);
    requestAnimationFrame(() => {
      work.push(performance.now() - begun);
      if (count++ < 60) step();
      else done(work.sort((one, other) => one - other)[30]);
    });
  };
  fire('pointerdown', 0);
  step();
})"""


def timeline_frames(page, url):
    """Seconds of script and canvas for each frame, from all slices in sight to few."""
    page.add_init_script(MANY_SLICES)
    page.goto(url)
    board = page.get_by_role("application")
    board.wait_for()
    assert str(NUM_SLICES) in board.get_attribute("aria-label")
    board.focus()
    for key in MOVES:
        page.keyboard.press(key)
        page.evaluate(NEXT_FRAME)
    return page.evaluate("frameSeconds")


def map_frame(page, url, answer):
    """The median seconds of a frame while the map is dragged. `answer`: of a plan over two zones."""
    page.route("**/api/v1/plan", lambda route: route.fulfill(json=of_a_hundred_zones(answer)))
    page.route("**/api/v1/ranks", lambda route: route.fulfill(json={"schema_version": 1, "world_size": 0, "zones": []}))
    page.goto(url)
    page.get_by_test_id("map").get_by_role("button", name=f"zone-{HUNDRED - 1}").wait_for()
    return page.evaluate(PANNED) / 1000


def of_a_hundred_zones(answer):
    """The answer as if its two zones were a hundred, with all paths between them and every neighbour sending."""
    zones, path = answer["problem"]["cluster"]["zones"], answer["problem"]["cluster"]["links"][0]
    link = answer["plans"][0]["prediction"]["links"][0]
    names = [f"zone-{index}" for index in range(HUNDRED)]
    places = [{"latitude_degrees": index % 60, "longitude_degrees": 3 * index - 150} for index in range(HUNDRED)]
    many = [{**zones[0], "name": name, **place} for name, place in zip(names, places, strict=True)]
    ends = [(one, other) for one in names for other in names if one != other]
    paths = [{**path, "from_zone": one, "to_zone": other} for one, other in ends]
    near = [pair for pair in ends if abs(names.index(pair[0]) - names.index(pair[1])) == 1]
    sent = [{**link, "from_zone": one, "to_zone": other} for one, other in near]
    answer["problem"]["cluster"] = {"zones": many, "links": paths}
    answer["plans"][0]["prediction"]["links"] = sent
    return answer
