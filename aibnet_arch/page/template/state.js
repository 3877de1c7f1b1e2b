'use strict';

// What the page shows follows from `data`, as Python wrote it, and `state`. list.js, viewer.js and page.js come after this.

const data = JSON.parse(document.getElementById('data').textContent);
const $ = (id) => document.getElementById(id);
const ZOOMS = [['fit', 'Fit'], [1, '100 %'], [2, '200 %'], [4, '400 %']];
const NOT_FINITE = { inf: Infinity, '-inf': -Infinity, nan: NaN };
const number = (value) => (typeof value === 'string' ? NOT_FINITE[value] : value);
const pictures = data.pictures.map((picture, index) => ({ ...picture, index, values: picture.values.map(number) }));
const metrics = data.metrics.map((metric, index) => ({ ...metric, index, mean: number(metric.mean) }));
const state = { current: null, split: 50, left: 'before', right: 'after', map: null, zoom: 'fit', by: null, down: true };
let order = []; // the pictures of the list, as it is sorted and searched

function element(tag, { attributes = {}, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
