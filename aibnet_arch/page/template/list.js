// The list of pictures: figures, sorting, finding.

for (const metric of metrics) {
  const sizes = pictures.map((picture) => Math.abs(picture.values[metric.index])).filter(Number.isFinite);
  const largest = Math.max(0, ...sizes);
  metric.digits = largest >= 10 ? 2 : largest > 1 ? 3 : 4;
}

function told(value, metric) {
  if (value === null) return '–';
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  return value.toFixed(metric.digits).replace('-', '−');
}

const collator = new Intl.Collator(undefined, { numeric: true });
const compare = (a, b) => (a > b) - (a < b); // not a - b: two infinite values are equal

// The figure of the picture before, and how much better this one is: above 0 is better for every metric.
function beside(metric, value, input) {
  if (input === undefined || value === null) return '';
  const gain = value === input ? 0 : metric.better === 'lower' ? input - value : value - input;
  return `input ${told(input, metric)}, gain ${gain > 0 ? '+' : ''}${told(gain, metric)}`;
}

function worstFirst(metric) {
  // Not a number is a fault, and worse than any figure.
  const rank = (value) => [Number.isNaN(value) ? 0 : 1, metric.better === 'lower' ? -value : value];
  return (a, b) => {
    const [first, second] = [rank(a.values[metric.index]), rank(b.values[metric.index])];
    return compare(first[0], second[0]) || (first[0] ? compare(first[1], second[1]) : 0);
  };
}

function sort() {
  const words = $('find').value.trim().toLowerCase();
  const metric = metrics[state.by];
  const has = (picture) => !metric || picture.values[metric.index] !== null;
  const by = metric ? worstFirst(metric) : (a, b) => collator.compare(a.name, b.name);
  order = pictures.filter((picture) => picture.name.toLowerCase().includes(words));
  // What has no such figure stays at the end, whichever way is up.
  order.sort((a, b) => has(b) - has(a) || (has(a) ? by(a, b) * (state.down ? 1 : -1) : 0) || a.index - b.index);
  $('rows').replaceChildren(...order.map((picture) => picture.row));
  $('none').hidden = order.length > 0;
  const way = metric ? (state.down ? 'worst first' : 'best first') : state.down ? 'A to Z' : 'Z to A';
  const count = order.length === pictures.length ? `${order.length}` : `${order.length} of ${pictures.length}`;
  $('order').textContent = `${count}, by ${metric ? metric.name : 'name'}, ${way}`;
  for (const head of $('head').querySelectorAll('[data-by]')) {
    const mine = metric ? metric.index : -1;
    if (Number(head.dataset.by) !== mine) head.removeAttribute('aria-sort');
    else head.setAttribute('aria-sort', state.down === (metric?.better !== 'lower') ? 'ascending' : 'descending');
  }
  place();
}

function sortBy(index) {
  const by = index < 0 ? null : index;
  state.down = state.by === by ? !state.down : true;
  state.by = by;
  sort();
}

function buildList() {
  const sorter = (index, name, title) => element('th', { scope: 'col', attributes: { role: 'columnheader', 'data-by': index } },
    element('button', { type: 'button', title, textContent: name, onclick: () => sortBy(index) }));
  $('head').append(element('tr', { attributes: { role: 'row' } },
    sorter(-1, 'name', 'Sort by name'),
    ...metrics.map((metric) => sorter(metric.index, metric.name, `Sort by ${metric.name}; ${metric.better} is better`))));
  if (metrics.length) {
    const notes = metrics.filter((metric) => metric.note).map((metric) => `${metric.name}: ${metric.note}`);
    $('head').append(element('tr', { className: 'mean', attributes: { role: 'row' } },
      element('th', { scope: 'row', attributes: { role: 'rowheader' } }, 'mean', ...small(notes.join('; '))),
      ...metrics.map((metric) => figure(metric, metric.mean, number(data.inputs[metric.name])))));
  }
  for (const picture of pictures) picture.row = rowOf(picture);
  $('find').hidden = pictures.length < 10;
}

const figure = (metric, value, input) => element('td', { attributes: { role: 'cell', 'data-metric': metric.name } },
  told(value, metric), ...small(beside(metric, value, input)));
const small = (text) => (text ? [element('small', { textContent: text })] : []);

function rowOf(picture) {
  const thumb = element('img', { loading: 'lazy', decoding: 'async', alt: '', width: 64, height: 48 });
  thumb.src = fileOf(picture.files.thumb);
  const name = element('button', { type: 'button', className: 'pick', textContent: picture.name, tabIndex: -1 });
  const row = element('tr', { attributes: { role: 'row' } },
    element('th', { scope: 'row', attributes: { role: 'rowheader' } }, element('div', {}, thumb, element('div', {}, name, ...small(picture.note)))),
    ...metrics.map((metric) => figure(metric, picture.values[metric.index], number(picture.inputs[metric.name]))));
  row.onclick = () => { show(picture); $('viewer').scrollIntoView(); };
  return row;
}

function place() {
  const at = order.indexOf(state.current);
  $('place').textContent = at < 0 ? `– of ${order.length}` : `${at + 1} of ${order.length}`;
  $('previous').disabled = at <= 0;
  $('next').disabled = at === order.length - 1;
  for (const picture of pictures) {
    const current = picture === state.current;
    current ? picture.row.setAttribute('aria-current', 'true') : picture.row.removeAttribute('aria-current');
    picture.row.querySelector('.pick').tabIndex = current || (at < 0 && picture === order[0]) ? 0 : -1;
  }
}

function turn(steps) {
  const at = order.indexOf(state.current);
  const next = order[Math.min(Math.max(at + steps, 0), order.length - 1)];
  if (!next || next === state.current) return;
  show(next);
  if (matchMedia('(min-width: 60rem)').matches) next.row.scrollIntoView({ block: 'nearest' });
}
