// The viewer: two pictures, the divider between them, a map over them.

const fileOf = (file) => `${data.folder}/${file}`;
const titleOf = (kind) => data.titles[kind] || kind; // of several results, whose it is

function chosen(side) {
  const has = state.current.files[state[side]];
  return has ? state[side] : side === 'left' ? 'before' : 'after';
}

async function show(picture) {
  state.current = picture;
  $('name').textContent = picture.name;
  $('note').textContent = picture.note;
  $('note').hidden = !picture.note;
  $('figures').replaceChildren(...metrics.map((metric) => element('div', {},
    element('dt', { textContent: metric.name }), element('dd', { textContent: told(picture.values[metric.index], metric) }))));
  history.replaceState(null, '', `#${picture.index + 1}`);
  place();
  buildMaps();
  await draw();
  const after = order[order.indexOf(picture) + 1];
  if (after) for (const kind of ['left', 'right']) new Image().src = fileOf(after.files[state[kind]] || after.files.after);
}

async function draw() {
  const picture = state.current;
  const [left, right] = [chosen('left'), chosen('right')];
  const map = picture.maps.find(([name]) => name === state.map);
  for (const side of ['left', 'right']) {
    const kinds = data.kinds.filter((kind) => picture.files[kind]);
    $(side).replaceChildren(...kinds.map((kind) => element('option', { value: kind, textContent: titleOf(kind) })));
    $(side).value = chosen(side);
    $(`tag-${side}`).textContent = titleOf(chosen(side));
  }
  $('split').setAttribute('aria-label', `Divider: ${titleOf(left)} on the left, ${titleOf(right)} on the right`);
  $('strength').hidden = !map;
  const wanted = [[titleOf(right), picture.files[right], 'right'], [titleOf(left), picture.files[left], 'left'], ...(map ? [[...map, 'map']] : [])];
  const drawn = (draw.latest = Symbol('draw'));
  $('frame').setAttribute('aria-busy', 'true');
  const images = await Promise.all(wanted.map(async ([what, file, role]) => {
    const image = element('img', { className: role, alt: `${picture.name}, ${what}`, draggable: false, src: fileOf(file) });
    return image.decode().then(() => image, () => fileOf(file));
  }));
  if (drawn !== draw.latest) return; // another picture was asked for meanwhile
  const lost = images.filter((image) => typeof image === 'string');
  $('failure').hidden = !lost.length;
  $('failure').textContent = `Cannot be shown: ${lost.join(', ')}. Was this page moved without its folder ${data.folder}?`;
  $('canvas').replaceChildren(...images.filter((image) => typeof image !== 'string'));
  $('frame').removeAttribute('aria-busy');
  resize();
}

function resize() {
  const { style, classList } = $('frame');
  style.setProperty('--width', state.current.width);
  style.setProperty('--height', state.current.height);
  classList.toggle('zoomed', state.zoom !== 'fit');
  $('scroller').tabIndex = state.zoom === 'fit' ? -1 : 0; // the arrow keys scroll it
  // One pixel of the picture on one of the screen.
  style.setProperty('--zoom', state.zoom === 'fit' ? 1 : state.zoom / devicePixelRatio);
  divide();
  const enlarged = ($('canvas').clientWidth / state.current.width) * devicePixelRatio;
  $('canvas').classList.toggle('pixels', enlarged >= 2);
}

function divide() {
  const scroller = $('scroller');
  const at = (state.split / 100) * scroller.clientWidth;
  $('frame').style.setProperty('--at', `${at}px`);
  $('canvas').style.setProperty('--cut', `${scroller.scrollLeft + at - $('canvas').offsetLeft}px`);
  $('split').value = state.split;
  $('split').setAttribute('aria-valuetext', `${Math.round(state.split)} %`);
}

function divideAt(split) {
  state.split = Math.min(Math.max(split, 0), 100);
  divide();
}

// A drag moves the divider; where the picture is larger than its frame, it moves the picture, unless it began at the grip.
function drag(event) {
  if (event.button !== 0) return;
  const scroller = $('scroller');
  const box = scroller.getBoundingClientRect();
  const inside = event.clientX < box.left + scroller.clientWidth && event.clientY < box.top + scroller.clientHeight;
  const moves = event.currentTarget === $('grip') || state.zoom === 'fit';
  if (!moves && (!inside || event.pointerType !== 'mouse')) return; // a scrollbar, or a finger that scrolls by itself
  event.preventDefault();
  const target = event.currentTarget;
  const start = { x: event.clientX + scroller.scrollLeft, y: event.clientY + scroller.scrollTop };
  const follow = (now) => {
    if (moves) divideAt((100 * (now.clientX - box.left)) / scroller.clientWidth);
    else scroller.scrollTo({ left: start.x - now.clientX, top: start.y - now.clientY, behavior: 'instant' });
  };
  if (moves) follow(event);
  target.setPointerCapture(event.pointerId);
  target.onpointermove = follow;
  target.onlostpointercapture = () => { target.onpointermove = null; };
  $('split').focus({ preventScroll: true });
}
