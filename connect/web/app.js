// What every page shares: asking this program, saying what came of it, dialogs, menus, keys, events.

const token = localStorage.getItem('token') || '';
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

export class Trouble extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Asks for something; text or JSON comes back, or a Trouble with what to do. */
export const ask = (method, url, body, options = {}) => answer(fetch(url, { method, headers: { 'x-ticrypt-token': token, 'hx-request': 'true', ...options.headers }, body, signal: options.signal }));

async function answer(asked) {
  let reply;
  try {
    reply = await asked;
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Trouble(0, 'unreachable', 'ticrypt-connect does not answer; is it still running on this machine?');
  }
  if (reply.ok) return reply;
  let told = { code: 'broken', message: `this program answered ${reply.status}` };
  try {
    told = await reply.json();
  } catch { /* not one of ours */ }
  if (told.code === 'locked') reload();
  throw new Trouble(reply.status, told.code, told.message);
}

export const post = async (url, fields) => (await ask('POST', url, fields instanceof URLSearchParams ? fields : new URLSearchParams(fields))).json();

let turn = 0;

/** Draws the page of this address. What comes after another was asked for is too late. */
async function load(asked) {
  turn += 1;
  const mine = turn;
  try {
    const reply = await (asked ? answer(asked) : ask('GET', location.pathname + location.search));
    const text = await reply.text();
    if (mine !== turn) return;
    if (reply.redirected) history.replaceState(history.state, '', new URL(reply.url).pathname + new URL(reply.url).search);
    const app = $('#app');
    app.innerHTML = text;
    htmx.process(app);
    close();
    const title = $('h1', app);
    title?.setAttribute('tabindex', '-1');
    // Where one is, for those who hear the page and for the keyboard.
    ($('[autofocus]', app) || title)?.focus({ preventScroll: true });
    document.dispatchEvent(new CustomEvent('page'));
  } catch (error) {
    if (mine === turn) failed(error);
  }
}

/** What could not be had is told where there is a page, or in its place. */
function failed(error) {
  if (error.code === 'not_opened' || error.code === 'unreachable') return closed(error.message);
  complain(error);
  if (!$('#app h1')) closed(error.message);
}

/** Loads the page of this address anew; what was scrolled and selected is gone. */
export function reload() {
  load();
}

/** Goes to another page; the address first, for what stands in it is read when the page is drawn. */
export function go(url) {
  // What went wrong on a page goes with it.
  for (const told of $$('.toast-danger')) told.remove();
  history.pushState(null, '', url);
  load();
}

addEventListener('popstate', () => load());
document.addEventListener('click', (event) => {
  const link = event.target.closest('a[href^="/"]');
  if (!link || link.hasAttribute('download') || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(link.getAttribute('href'));
});

export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `/assets/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, '');
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

// Toasts

/** `offer` is a button: what it does, or which dialog it opens. */
export function toast(text, { tone = 'info', offer = null, stay = false } = {}) {
  const icons = { success: 'check', danger: 'alert-triangle', warning: 'alert-triangle', info: 'info-circle' };
  const close = element('button', { type: 'button', class: 'btn-close', 'aria-label': 'Close' });
  const made = element('div', { class: `toast-card toast-${tone}`, role: tone === 'danger' ? 'alert' : 'status' }, icon(icons[tone]), element('div', { class: 'toast-text' }, text));
  if (offer) {
    const button = element('button', { type: 'button', class: 'btn btn-sm btn-ghost-primary' }, offer.label);
    button.addEventListener('click', () => {
      made.remove();
      (offer.act ? act : openDialog)(offer.act || offer.dialog, new URLSearchParams(offer.fields));
    });
    made.append(button);
  }
  made.append(close);
  close.addEventListener('click', () => made.remove());
  $('#toasts').append(made);
  if (!stay && tone !== 'danger') setTimeout(() => made.remove(), offer ? 12000 : 6000);
}

export const complain = (error) => {
  if (error.name !== 'AbortError' && error.code !== 'locked') toast(error.message, { tone: 'danger' });
};

/** Says and does what an action answered. */
export function follow(done) {
  if (done.toast) toast(done.toast, { tone: done.tone || 'success', offer: done.undo });
  for (const { text, offer } of done.notes || []) toast(text, { tone: 'warning', stay: true, offer });
  if (done.file) download(done.file);
  if (done.go) go(done.go);
  else if (done.reload) {
    const table = $('ticrypt-table');
    if (table && done.reload === 'rows') {
      // What was chosen was chosen for this.
      table.clear();
      table.refresh();
    } else reload();
  }
}

export async function act(url, fields) {
  try {
    follow(await post(url, fields));
    return true;
  } catch (error) {
    complain(error);
    return false;
  }
}

export function download(url) {
  const link = element('a', { href: url, download: '' });
  document.body.append(link);
  link.click();
  link.remove();
}

// Dialogs

const dialog = () => $('#dialog');

export function close() {
  if (dialog().open) dialog().close();
}

function show(...content) {
  const box = dialog();
  box.replaceChildren(...content);
  if (!box.open) box.showModal();
  const first = $('[autofocus]', box) || $('input:not([type=hidden]):not([type=checkbox]), select, textarea', box);
  first?.focus();
  first?.select?.();
  return box;
}

async function fetchDialog(url, fields) {
  const html = await (await ask('POST', url, fields instanceof URLSearchParams ? fields : new URLSearchParams(fields))).text();
  const template = document.createElement('template');
  template.innerHTML = html;
  show(template.content);
  htmx.process(dialog());
}

/** Opens a dialog that this program renders. */
export const openDialog = (url, fields) => fetchDialog(url, fields).catch(complain);

/** Asks before something that cannot be undone. */
export function confirm(question, { button = 'Continue', tone = 'danger' } = {}) {
  return new Promise((resolve) => {
    const yes = element('button', { type: 'submit', class: `btn btn-${tone}`, value: 'yes' }, button);
    const form = element('form', { method: 'dialog' },
      element('h2', { class: 'modal-title', id: 'dialog-title' }, 'Are you sure?'),
      element('p', { class: 'text-secondary' }, question),
      element('div', { class: 'dialog-buttons' }, element('button', { type: 'submit', class: 'btn', value: 'no', autofocus: true }, 'Cancel'), yes));
    const box = show(form);
    box.addEventListener('close', () => resolve(box.returnValue === 'yes'), { once: true });
    box.returnValue = 'no';
  });
}

// A form that is sent without leaving the page: data-send says where.
document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || !form.dataset.send) return;
  event.preventDefault();
  const alert = $('.form-error', form);
  const buttons = $$('button[type=submit]', form);
  if (alert) alert.hidden = true;
  buttons.forEach((button) => { button.disabled = true; button.classList.add('btn-loading'); });
  try {
    const data = new FormData(form);
    const fields = new URLSearchParams();
    for (const [name, value] of data) {
      fields.append(name, value instanceof File ? await small(value, 'binary' in form.elements[name].dataset) : value);
    }
    if (event.submitter?.name) fields.append(event.submitter.name, event.submitter.value);
    const done = await post(event.submitter?.getAttribute('formaction') || form.dataset.send, fields);
    if (form.closest('dialog')) close();
    follow(done);
  } catch (error) {
    if (alert && error.code !== 'locked') {
      alert.textContent = error.message;
      alert.hidden = false;
    } else complain(error);
    $('input[type=password]', form)?.select();
  } finally {
    buttons.forEach((button) => { button.disabled = false; button.classList.remove('btn-loading'); });
  }
});

/** A chosen file as a field: key files, bundles and deployment files are small. */
async function small(file, binary) {
  if (file.size > 64 * 1024) throw new Trouble(0, 'invalid', `“${file.name}” is too large for what is asked for; choose the right file.`);
  return binary ? btoa(String.fromCharCode(...new Uint8Array(await file.arrayBuffer()))) : file.text();
}

// A file that is looked at before it is believed.
document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || !form.dataset.look) return;
  event.preventDefault();
  const alert = $('.form-error', form);
  alert.hidden = true;
  try {
    await fetchDialog(form.dataset.look, { file: await small(form.elements.file.files[0], false) });
  } catch (error) {
    alert.textContent = error.message;
    alert.hidden = false;
  }
});

document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-dialog], [data-act], [data-close], [data-theme-set], [data-toggle], [data-copy], [data-reveal]');
  if (!button || button.closest('ticrypt-table')) return;
  const { dialog: dialogUrl, act: url, confirm: question } = button.dataset;
  if ('close' in button.dataset) return close();
  if (button.dataset.themeSet) return window.setTheme(button.dataset.themeSet);
  if (button.dataset.copy) {
    await navigator.clipboard?.writeText(button.dataset.copy);
    return toast('Copied');
  }
  if (button.dataset.reveal) {
    const field = $(button.dataset.reveal);
    field.type = field.type === 'password' ? 'text' : 'password';
    return field.focus();
  }
  if (button.dataset.toggle) {
    const target = $(button.dataset.toggle);
    const open = target.toggleAttribute('data-open');
    return button.setAttribute('aria-expanded', String(open));
  }
  event.preventDefault();
  if (dialogUrl) {
    if (dialogUrl === '/notices') for (const badge of $$('.unread')) badge.hidden = true;
    return openDialog(dialogUrl, button.dataset.fields || '');
  }
  if (question && !(await confirm(question, { button: button.dataset.button || button.textContent.trim() }))) return;
  button.classList.add('btn-loading');
  await act(url, button.dataset.fields || '');
  button.classList.remove('btn-loading');
});

// Folders of this machine and of the vault: a click chooses, and shows what is in it.
document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-pick]');
  if (!button) return;
  $(button.dataset.into).value = button.dataset.pick;
  if (!button.dataset.tree) return;
  const node = button.parentElement;
  const open = button.getAttribute('aria-expanded') === 'true';
  button.setAttribute('aria-expanded', String(!open));
  if (open) return $(':scope > .tree-below', node)?.remove();
  try {
    const html = await (await ask('GET', button.dataset.tree)).text();
    const below = element('div', { class: 'tree-below' });
    below.innerHTML = html;
    node.append(below);
  } catch (error) {
    complain(error);
  }
});

// Some boxes of a form at once: those that are named, of those that can be changed.
document.addEventListener('click', (event) => {
  const button = event.target.closest('[data-check]');
  if (!button) return;
  const wanted = button.dataset.check.split(' ');
  for (const box of $$('input[type=checkbox]:not(:disabled)', button.closest('fieldset'))) box.checked = wanted.includes(box.value);
});

// Passphrases: how strong, while it is typed.
let rating;
document.addEventListener('input', (event) => {
  const field = event.target;
  if (!field.dataset?.rate) return;
  clearTimeout(rating);
  rating = setTimeout(async () => {
    try {
      const { score, words } = await post('/passphrase', { passphrase: field.value });
      const meter = $(field.dataset.rate);
      $('meter', meter).value = score;
      $('span', meter).textContent = words;
    } catch { /* it is asked again when the form is sent */ }
  }, 150);
});

document.addEventListener('htmx:configRequest', (event) => { event.detail.headers['x-ticrypt-token'] = token; });
document.addEventListener('htmx:responseError', (event) => {
  let told = { code: 'broken', message: `this program answered ${event.detail.xhr.status}` };
  try {
    told = JSON.parse(event.detail.xhr.responseText);
  } catch { /* not one of ours */ }
  failed(new Trouble(event.detail.xhr.status, told.code, told.message));
});
document.addEventListener('htmx:sendError', () => failed(new Trouble(0, 'unreachable', 'ticrypt-connect does not answer. Is it still running on this machine?')));

function closed(message) {
  $('#app').replaceChildren(element('div', { class: 'alone' }, element('div', { class: 'card card-md' }, element('div', { class: 'card-body text-center' },
    icon('lock'), element('h1', { class: 'mt-3' }, 'Not connected'), element('p', { class: 'text-secondary told' }, message),
    element('a', { class: 'btn btn-primary', href: location.pathname + location.search, autofocus: true }, 'Try again')))));
}

document.addEventListener('keydown', (event) => {
  if (event.target.closest('input, textarea, select, dialog') || event.ctrlKey || event.metaKey || event.altKey) return;
  const place = { v: '/vault', s: '/shared', b: '/sharing', g: '/groups', t: '/transfers', a: '/account' };
  if (event.key === '/') {
    event.preventDefault();
    $('.tbl-search')?.focus();
  } else if (event.key === '?') {
    $('#keys-help') && show($('#keys-help').content.cloneNode(true));
  } else if (waiting && place[event.key]) {
    go(place[event.key]);
    waiting = false;
    return;
  }
  waiting = event.key === 'g';
});
let waiting = false;

// Menus of the popover kind stand under their button.
document.addEventListener('toggle', (event) => {
  const menu = event.target;
  if (event.newState !== 'open' || !menu.classList?.contains('menu')) return;
  const button = $(`[popovertarget="${menu.id}"]`);
  if (button) {
    const { left, right, bottom } = button.getBoundingClientRect();
    menu.style.top = `${bottom + 4}px`;
    menu.style.left = `${Math.max(8, Math.min(left, innerWidth - menu.offsetWidth - 8, right))}px`;
  }
  $('button, a', menu)?.focus();
}, true);
document.addEventListener('click', (event) => {
  const item = event.target.closest('.menu a, .menu button');
  if (item) item.closest('.menu').hidePopover?.();
});

// Events

const hear = new EventTarget();
export const on = (name, listener) => hear.addEventListener(name, ({ detail }) => listener(detail));
if (window.SharedWorker) {
  const { port } = new SharedWorker('/assets/events.js');
  port.onmessage = ({ data: { name, data } }) => hear.dispatchEvent(new CustomEvent(name, { detail: data }));
  port.start();
  port.postMessage({ token });
  addEventListener('pagehide', () => port.postMessage('bye'));
}

on('locked', (why) => {
  const words = { idle: 'Locked, because nobody was here for a while.', slept: 'Locked, because this machine was asleep.', agent_locked: 'Locked by the command line.', session_ended: 'The server has ended this session.', asked: 'Locked.' };
  close();
  toast(words[why] || 'Locked.', { tone: 'info' });
  reload();
});
on('disconnected', () => document.body.classList.add('is-disconnected'));
on('connected', () => document.body.classList.remove('is-disconnected'));
on('notice', ({ text, unread }) => {
  for (const badge of $$('.unread')) {
    badge.textContent = unread;
    badge.hidden = !unread;
  }
  if (text) toast(text);
  // A list that shows such things is out of date now.
  if (/^\/(shared|sharing|groups|people|teams)/.test(location.pathname)) $('ticrypt-table')?.refresh({ unattended: true });
});

// The tray: one card for each transfer under way.

const work = new Map();
const size = (bytes) => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  for (; bytes >= 1024 && at < 4; at += 1) bytes /= 1024;
  return `${at ? bytes.toFixed(1) : bytes} ${units[at]}`;
};
const WORDS = { running: '', paused: 'paused', waiting: 'waiting for the file', done: 'done', failed: 'failed', cancelled: 'cancelled' };

export const transfers = work;

on('transfer', (job) => {
  let entry = work.get(job.id);
  if (!entry) {
    const node = $('#tray-item').content.firstElementChild.cloneNode(true);
    node.dataset.id = job.id;
    $('#tray').append(node);
    entry = { node };
    work.set(job.id, entry);
    for (const button of $$('button', node)) {
      button.addEventListener('click', () => {
        const what = button.dataset.do;
        if (what === 'close') {
          node.remove();
          return work.delete(job.id);
        }
        act(`/transfers/${what}`, { key: job.id });
      });
    }
  }
  entry.job = job;
  const { node } = entry;
  node.dataset.state = job.state;
  node.toggleAttribute('data-again', job.again);
  $('.tray-title', node).textContent = job.title;
  const share = job.total_bytes ? job.bytes / job.total_bytes : job.state === 'done' ? 1 : 0;
  $('progress', node).value = job.state === 'done' ? 1 : Math.min(share, 1);
  const now = performance.now();
  if (job.state === 'running' && entry.at && now > entry.at) entry.rate = 0.7 * (entry.rate || 0) + (0.3 * Math.max(0, job.bytes - entry.bytes)) / ((now - entry.at) / 1000);
  [entry.at, entry.bytes] = [now, job.bytes];
  const files = job.total_files > 1 ? `${job.files} of ${job.total_files} files · ` : '';
  const rate = job.state === 'running' && entry.rate > 1024 ? ` · ${size(entry.rate)}/s` : '';
  $('.tray-detail', node).textContent = job.message || `${files}${size(job.bytes)} of ${size(job.total_bytes)}${rate}${WORDS[job.state] ? ` · ${WORDS[job.state]}` : ''}`;
  document.dispatchEvent(new CustomEvent('transfer-state', { detail: job }));
  // The page of transfers shows each as it begins, rests and ends.
  if (job.state !== entry.state && location.pathname === '/transfers') $('ticrypt-table')?.refresh({ unattended: true });
  entry.state = job.state;
  if (job.state === 'done') {
    if (job.reload && location.pathname !== '/transfers') $('ticrypt-table')?.refresh({ unattended: true });
    if (!job.message) setTimeout(() => { node.remove(); work.delete(job.id); }, 5000);
  }
});

Object.assign(window, { ticrypt: { ask, post, act, toast, reload } });

// A look at a file: a frame of another origin that can do nothing.
class Preview extends HTMLElement {
  async connectedCallback() {
    try {
      const { url } = await post('/vault/preview', { at: this.dataset.at });
      if (/\.pdf$/i.test(this.dataset.at) && navigator.pdfViewerEnabled === false) throw new Error('This browser has no viewer for PDF; download the file instead.');
      this.replaceChildren(element('iframe', { class: 'preview', src: url, title: 'Preview', referrerpolicy: 'no-referrer' }));
    } catch (error) {
      this.replaceChildren(element('p', { class: 'text-secondary mb-0' }, error.message));
    }
  }
}
customElements.define('ticrypt-preview', Preview);

// Asked for by the first script, before this one was here.
addEventListener('DOMContentLoaded', () => load(window.first));
