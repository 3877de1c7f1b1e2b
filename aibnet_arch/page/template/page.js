// Controls, keys, and the start.

function choices(group, options, current, choose) {
  group.querySelectorAll('label').forEach((label) => label.remove());
  for (const [value, text] of options) {
    const input = element('input', { type: 'radio', name: group.id, checked: value === current, onchange: () => choose(value) });
    group.append(element('label', {}, input, element('span', { textContent: text })));
  }
}

function buildMaps() {
  const maps = state.current.maps.map(([name]) => name);
  $('maps').hidden = $('key-m').hidden = !maps.length;
  const current = maps.includes(state.map) ? state.map : null;
  choices($('maps'), [[null, 'Off'], ...maps.map((name) => [name, name])], current, (name) => { state.map = name; draw(); });
}

function zoomTo(zoom) { // what is in the middle stays there
  const scroller = $('scroller');
  const middle = [
    (scroller.scrollLeft + scroller.clientWidth / 2) / scroller.scrollWidth,
    (scroller.scrollTop + scroller.clientHeight / 2) / scroller.scrollHeight,
  ];
  state.zoom = zoom;
  resize();
  scroller.scrollLeft = middle[0] * scroller.scrollWidth - scroller.clientWidth / 2;
  scroller.scrollTop = middle[1] * scroller.scrollHeight - scroller.clientHeight / 2;
}

function following(group) {
  const inputs = [...group.querySelectorAll('input')];
  inputs[(inputs.findIndex((input) => input.checked) + 1) % inputs.length]?.click();
}

function onKey(event) {
  const typing = event.target.closest('input[type="search"], select');
  if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
  const inList = event.target.closest('.pick');
  const divider = event.target === $('split') || event.target === document.body;
  const actions = { n: () => turn(1), p: () => turn(-1), z: () => following($('zoom')), m: () => following($('maps')) };
  if (divider) {
    const step = event.shiftKey ? 10 : 1;
    Object.assign(actions, { ArrowLeft: () => divideAt(state.split - step), ArrowRight: () => divideAt(state.split + step) });
  }
  if (inList) {
    const walk = (steps) => () => { turn(steps); state.current.row.querySelector('.pick').focus(); };
    Object.assign(actions, { ArrowUp: walk(-1), ArrowDown: walk(1), Home: walk(-Infinity), End: walk(Infinity) });
  }
  const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

function start() {
  const count = pictures.length;
  $('summary').textContent = `${count} picture${count === 1 ? '' : 's'}`;
  if (!count) {
    $('empty').hidden = false;
    $('empty').textContent = data.finished
      ? 'There are no pictures on this page.'
      : 'This page is not finished: its pictures are still being written, or the run that wrote them was stopped.';
    return;
  }
  $('main').hidden = false;
  buildList();
  state.by = metrics.length ? 0 : null;
  sort();
  choices($('zoom'), ZOOMS, state.zoom, zoomTo);
  for (const side of ['left', 'right']) $(side).onchange = () => { state[side] = $(side).value; draw(); };
  $('split').oninput = () => divideAt(Number($('split').value));
  $('opacity').oninput = () => {
    $('canvas').style.setProperty('--opacity', $('opacity').value / 100);
    $('opacity-told').textContent = `${$('opacity').value} %`;
  };
  $('opacity').oninput();
  $('find').oninput = sort;
  $('previous').onclick = () => turn(-1);
  $('next').onclick = () => turn(1);
  $('grip').onpointerdown = $('scroller').onpointerdown = drag;
  $('scroller').onscroll = divide;
  $('grip').addEventListener('wheel', (event) => $('scroller').scrollBy(event.deltaX, event.deltaY), { passive: true });
  document.addEventListener('keydown', onKey);
  new ResizeObserver(() => state.current && resize()).observe($('scroller'));
  new ResizeObserver(() => { // where the columns find no room, each picture is a card
    $('table').classList.toggle('cards', $('sheet').clientWidth < 230 + 80 * metrics.length);
  }).observe($('sheet'));
  show(pictures[Number(location.hash.slice(1)) - 1] || order[0]);
}

start();
