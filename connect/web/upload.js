// Files from this browser into the vault: handed to the program on this machine in slices, which encrypts and sends them.

import { ask, complain, element, on, post, toast, transfers } from './app.js';

// A browser spends a third less on large slices; the program takes them as they come, and pauses in the middle of one.
const SLICE = 64 * 1024 * 1024;
// The end of a file is read last and by itself: a browser looks only when it begins to read whether the file changed.
const END = 64 * 1024;
const SMALL = 48 * 1024;
const BATCH_BYTES = 4 * 1024 * 1024;
const BATCH_FILES = 500;
const LANES = 2;

const running = new Map();

/** All files below what was dropped, with the way to each. */
async function walk(entry, above, found, folders) {
  if (entry.isFile) {
    try {
      found.push({ path: [...above, entry.name], file: await new Promise((resolve, reject) => { entry.file(resolve, reject); }) });
    } catch (error) {
      found.push({ path: [...above, entry.name], error });
    }
    return;
  }
  const path = [...above, entry.name];
  folders.push(path);
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (!some.length) break;
    for (const one of some) await walk(one, path, found, folders);
  }
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const [found, folders] = [[], []];
  if (!entries.length) return { found: [...transfer.files].map((file) => ({ path: [file.name], file })), folders };
  for (const entry of entries) await walk(entry, [], found, folders);
  return { found, folders };
}

/** Asks what to do where names are taken. */
function choose(names, count) {
  return new Promise((resolve) => {
    const box = document.getElementById('dialog');
    const button = (value, label, kind) => element('button', { type: 'submit', class: `btn ${kind}`, value }, label);
    const list = names.slice(0, 5).join(', ') + (names.length > 5 ? `, and ${names.length - 5} more` : '');
    box.replaceChildren(element('form', { method: 'dialog' },
      element('h2', { class: 'modal-title', id: 'dialog-title' }, names.length === 1 ? 'This name is taken' : `${names.length} of ${count} names are taken`),
      element('p', { class: 'text-secondary' }, `${list} ${names.length === 1 ? 'is' : 'are'} in this folder already. Folders are merged; what should happen to files?`),
      element('div', { class: 'dialog-buttons dialog-stack' }, button('keep-both', 'Keep both', 'btn-primary'), button('force', 'Replace with a new version', ''), button('skip', 'Skip what is there', ''), button('', 'Cancel', 'btn-ghost-secondary'))));
    box.returnValue = '';
    box.addEventListener('close', () => resolve(box.returnValue), { once: true });
    if (!box.open) box.showModal();
  });
}

export async function send(at, { found, folders }) {
  const broken = found.filter(({ error }) => error);
  const good = found.filter(({ file }) => file);
  if (broken.length) toast(`${broken.length === 1 ? `“${broken[0].path.join('/')}”` : `${broken.length} files`} cannot be read on this machine and ${broken.length === 1 ? 'is' : 'are'} left out.`, { tone: 'warning', stay: true });
  if (!good.length && !folders.length) return;
  try {
    const top = [...new Set([...good, ...folders.map((path) => ({ path }))].map(({ path }) => path[0]))];
    const { taken } = await (await ask('POST', '/uploads/taken', JSON.stringify({ at, names: top }), { headers: { 'content-type': 'application/json' } })).json();
    let exists = 'skip';
    if (taken.length) {
      exists = await choose(taken, top.length);
      if (!exists) return;
    }
    const total = good.reduce((sum, { file }) => sum + file.size, 0);
    const { id } = await (await ask('POST', '/uploads', JSON.stringify({ at, exists, title: top.length === 1 ? top[0] : `${top.length} items`, files: good.length, bytes: total, folders }), { headers: { 'content-type': 'application/json' } })).json();
    const job = { abort: new AbortController(), paused: null, resume: null };
    running.set(id, job);
    try {
      await deliver(id, job, good);
      await post(`/uploads/${id}/done`, {});
    } finally {
      running.delete(id);
    }
  } catch (error) {
    complain(error);
  }
}

async function deliver(id, job, files) {
  const small = files.filter(({ file }) => file.size <= SMALL);
  const large = files.filter(({ file }) => file.size > SMALL);
  const queue = [];
  let batch = [];
  let bytes = 0;
  for (const one of small) {
    if (batch.length >= BATCH_FILES || bytes + one.file.size > BATCH_BYTES) {
      queue.push(batch);
      [batch, bytes] = [[], 0];
    }
    batch.push(one);
    bytes += one.file.size;
  }
  if (batch.length) queue.push(batch);
  const tasks = [...queue.map((some) => () => together(id, job, some)), ...large.map((one) => () => alone(id, job, one))];
  const lane = async () => {
    for (let task = tasks.shift(); task; task = tasks.shift()) await task();
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

const options = (job) => ({ signal: job.abort.signal, headers: { 'content-type': 'application/octet-stream' } });

async function turn(job) {
  while (job.paused) await job.paused;
  job.abort.signal.throwIfAborted();
}

/** Small files in one request: for each, a line of JSON and its bytes. */
async function together(id, job, files) {
  await turn(job);
  const parts = [];
  for (const { path, file } of files) {
    try {
      const content = await file.arrayBuffer();
      parts.push(`${JSON.stringify({ path, size: content.byteLength, modified: file.lastModified })}\n`, content);
    } catch {
      await post(`/uploads/${id}/unreadable`, { path: path.join('/') });
    }
  }
  await ask('POST', `/uploads/${id}/small`, new Blob(parts), options(job));
}

/** A large one, slice by slice. */
async function alone(id, job, { path, file }) {
  const query = () => new URLSearchParams({ path: JSON.stringify(path), size: file.size, modified: file.lastModified });
  for (let attempt = 0; ; attempt += 1) {
    try {
      for (let from = 0, to; from < file.size; from = to) {
        await turn(job);
        to = from < file.size - END ? Math.min(from + SLICE, file.size - END) : file.size;
        const slice = file.slice(from, to);
        const fields = query();
        fields.set('from', from);
        const { more } = await (await ask('POST', `/uploads/${id}/slice?${fields}`, slice, options(job))).json();
        if (!more) return;
      }
      return;
    } catch (error) {
      if (error.code === 'other_content' && attempt === 0) continue;
      if (error.code === 'unreachable' && file.size) {
        // Either the program is gone, or the file changed under the browser's hand.
        try { await file.slice(0, 1).arrayBuffer(); } catch {
          await post(`/uploads/${id}/unreadable`, { path: path.join('/') });
          return;
        }
      }
      throw error;
    }
  }
}

// Whichever tab or list it was asked in: what the program says of a transfer holds for whoever hands over its files.
on('transfer', ({ id, state }) => {
  const job = running.get(id);
  if (!job) return;
  if (state === 'paused') {
    job.paused ??= new Promise((resolve) => { job.resume = resolve; });
    return;
  }
  if (state === 'cancelled' || state === 'failed') job.abort.abort();
  job.paused = null;
  job.resume?.();
});

addEventListener('beforeunload', (event) => {
  if (running.size) event.preventDefault();
});

// Where files can be dropped: anywhere over a folder that is shown.
const place = () => document.querySelector('[data-drop]');
let depth = 0;
const files = (event) => event.dataTransfer?.types.includes('Files');
addEventListener('dragenter', (event) => {
  if (!files(event) || !place()) return;
  depth += 1;
  document.body.classList.add('is-dropping');
});
addEventListener('dragleave', (event) => {
  if (files(event) && (depth -= 1) <= 0) document.body.classList.remove('is-dropping');
});
addEventListener('dragover', (event) => {
  if (files(event)) event.preventDefault();
});
addEventListener('drop', async (event) => {
  if (!files(event)) return;
  event.preventDefault();
  depth = 0;
  document.body.classList.remove('is-dropping');
  const target = event.target.closest?.('[data-drop-path]')?.dataset.dropPath || place()?.dataset.drop;
  if (!target) return toast('Open a folder of the vault first, then drop files there.', { tone: 'warning' });
  try {
    await send(target, await dropped(event.dataTransfer));
  } catch (error) {
    complain(error);
  }
});
document.addEventListener('change', async (event) => {
  const input = event.target;
  if (!(input instanceof HTMLInputElement) || !input.dataset.upload) return;
  const found = [...input.files].map((file) => ({ path: file.webkitRelativePath ? file.webkitRelativePath.split('/') : [file.name], file }));
  const at = place()?.dataset.drop;
  if (at) await send(at, { found, folders: [] });
  input.value = '';
});
on('locked', () => {
  for (const job of running.values()) job.abort.abort();
  running.clear();
  transfers.clear();
  document.getElementById('tray').replaceChildren();
});
