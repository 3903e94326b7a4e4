// The one table. Rows stay in the program; here are only those that can be seen, a block at a time.

import { act, ask, complain, confirm, element, follow, icon, openDialog, go, toast } from './app.js';

const BLOCK = 50;
const KEPT = 24;
const ROWS = 'text/x-rows';
const MODES = { cozy: 44, compact: 30 };

class Table extends HTMLElement {
  connectedCallback() {
    if (this.ready) return;
    this.ready = true;
    this.columns = JSON.parse(this.dataset.columns);
    this.sheet = this.dataset.sheet;
    this.total = 0;
    this.selected = new Set();
    this.all = false;
    this.anchor = null;
    this.focused = 0;
    this.blocks = new Map();
    this.drawn = '';
    this.read();
    this.actions = [...this.querySelectorAll('.tbl-actions > button')];
    this.build();
    this.count();
  }

  disconnectedCallback() {
    removeEventListener('resize', this.resized);
  }

  // What is chosen stands in the address; what is liked is remembered for the noun.
  read() {
    const address = new URLSearchParams(location.search);
    this.search = address.get('q') || '';
    this.sort = address.get('sort') || this.dataset.sort || '';
    this.filters = new Map([...address].filter(([name]) => name.startsWith('f.')));
    const liked = address.get('cols') || localStorage.getItem(`cols.${this.dataset.noun}`);
    const known = new Map(this.columns.map((column) => [column.key, column]));
    this.shown = (liked ? liked.split(',') : this.columns.filter((column) => column.shown).map((column) => column.key)).filter((key) => known.has(key));
    if (!this.shown.length) this.shown = this.columns.map((column) => column.key);
    this.mode = localStorage.getItem('density') || 'cozy';
    this.hidden_ = localStorage.getItem('hidden') === 'yes';
  }

  write() {
    const address = new URLSearchParams(location.search);
    const put = (name, value) => (value ? address.set(name, value) : address.delete(name));
    put('q', this.search);
    put('sort', this.sort === this.dataset.sort ? '' : this.sort);
    for (const name of [...address.keys()].filter((name) => name.startsWith('f.'))) address.delete(name);
    for (const [name, value] of this.filters) put(name, value);
    const standard = this.columns.filter((column) => column.shown).map((column) => column.key).join();
    put('cols', this.shown.join() === standard ? '' : this.shown.join());
    localStorage.setItem(`cols.${this.dataset.noun}`, this.shown.join());
    const text = address.toString();
    history.replaceState(history.state, '', location.pathname + (text ? `?${text}` : ''));
  }

  query() {
    const query = new URLSearchParams({ sheet: this.sheet, sort: this.sort });
    if (this.search) query.set('q', this.search);
    for (const [name, value] of this.filters) query.set(name, value);
    if (this.dataset.hides && !this.hidden_) query.set('f.hidden', 'no');
    return query;
  }

  chosen() {
    const fields = this.query();
    // What the page says besides: of which thing the rows are.
    for (const [name, value] of new URLSearchParams(this.closest('[data-with]')?.dataset.with)) fields.set(name, value);
    if (this.all) {
      fields.set('all', '1');
      for (const key of this.selected) fields.append('except', key);
    } else for (const key of this.selected) fields.append('key', key);
    return fields;
  }

  get size() {
    return this.all ? this.total - this.selected.size : this.selected.size;
  }

  isChosen(key) {
    return this.all !== this.selected.has(key);
  }

  build() {
    const bar = this.querySelector('.tbl-bar');
    const search = this.querySelector('.tbl-search');
    search.value = this.search;
    let wait;
    const apply = async () => {
      clearTimeout(wait);
      const asked = search.value.trim();
      if (asked === this.search) return;
      this.search = asked;
      await this.changed();
    };
    search.addEventListener('input', () => { clearTimeout(wait); wait = setTimeout(apply, 120); });
    search.addEventListener('keydown', async (event) => {
      if (event.key === 'Escape') { search.value = ''; apply(); }
      if (event.key === 'ArrowDown') {
        event.preventDefault();
        // At once: what is selected next must not be lost to a search that is still waited for.
        await apply();
        this.focusRow(0);
      }
    });
    for (const select of bar.querySelectorAll('select[data-filter]')) {
      select.value = this.filters.get(`f.${select.dataset.filter}`) || '';
      select.addEventListener('change', () => { this.filters.set(`f.${select.dataset.filter}`, select.value); this.changed(); });
    }
    bar.querySelector('[data-tbl=density]')?.addEventListener('click', () => {
      this.mode = this.mode === 'cozy' ? 'compact' : 'cozy';
      localStorage.setItem('density', this.mode);
      this.layout();
    });
    const hidden = bar.querySelector('[data-tbl=hidden]');
    const label = () => { hidden.setAttribute('aria-pressed', String(this.hidden_)); hidden.title = this.hidden_ ? 'Hide hidden items' : 'Show hidden items'; hidden.setAttribute('aria-label', hidden.title); hidden.replaceChildren(icon(this.hidden_ ? 'eye' : 'eye-off')); };
    if (hidden) {
      label();
      hidden.addEventListener('click', () => { this.hidden_ = !this.hidden_; localStorage.setItem('hidden', this.hidden_ ? 'yes' : 'no'); label(); this.changed(); });
    }
    for (const button of bar.querySelectorAll('[data-export]')) button.addEventListener('click', () => this.export(button.dataset.export, button.dataset.which));

    this.scroller = this.querySelector('.tbl-scroll');
    this.table = this.querySelector('table');
    this.body = this.table.tBodies[0];
    this.above = element('tr', { class: 'tbl-space', 'aria-hidden': 'true' }, element('td', { colspan: 99 }));
    this.below = this.above.cloneNode(true);
    let frame;
    const soon = () => { cancelAnimationFrame(frame); frame = requestAnimationFrame(() => this.draw()); };
    this.scroller.addEventListener('scroll', soon, { passive: true });
    this.resized = soon;
    addEventListener('resize', soon);
    this.body.addEventListener('click', (event) => this.clicked(event));
    this.body.addEventListener('dblclick', (event) => { const row = event.target.closest('tr[data-key]'); if (row && !event.target.closest('a, input')) this.open(row); });
    this.body.addEventListener('contextmenu', (event) => {
      const row = event.target.closest('tr[data-key]');
      if (!row || event.shiftKey) return;
      event.preventDefault();
      if (!this.isChosen(row.dataset.key)) this.only(row);
      this.menu(event.clientX, event.clientY);
    });
    if (this.dataset.moves) this.drags();
    this.table.addEventListener('keydown', (event) => this.key(event));
    this.bulk = this.querySelector('.tbl-bulk');
    this.context = this.querySelector('.tbl-context');
    this.layout();
  }

  /** Rows are taken to a folder: one of the list, of the tree, or of the way here. */
  drags() {
    const mine = (event) => event.dataTransfer.types.includes(ROWS);
    const place = (event) => {
      const over = event.target.closest?.('[data-drop-path]');
      return over && !(over.dataset.key && this.isChosen(over.dataset.key)) ? over : null;
    };
    let lit = null;
    const light = (over) => {
      lit?.classList.remove('is-target');
      lit = over;
      lit?.classList.add('is-target');
    };
    this.body.addEventListener('dragstart', (event) => {
      const row = event.target.closest('tr[data-key]');
      if (!row) return;
      if (!this.isChosen(row.dataset.key)) this.only(row);
      event.dataTransfer.setData(ROWS, this.sheet);
      event.dataTransfer.effectAllowed = 'move';
      // What is carried is told in words, for a picture of one row would lie about several.
      const told = element('div', { class: 'tbl-carried' }, `${this.size.toLocaleString('en')} ${this.size === 1 ? this.dataset.one : this.dataset.many}`);
      document.body.append(told);
      event.dataTransfer.setDragImage(told, 0, 0);
      setTimeout(() => told.remove());
    });
    const page = this.closest('.main') || this;
    page.addEventListener('dragover', (event) => {
      if (!mine(event)) return;
      light(place(event));
      if (lit) event.preventDefault();
    });
    page.addEventListener('dragend', () => light(null));
    page.addEventListener('drop', async (event) => {
      if (!mine(event)) return;
      event.preventDefault();
      const over = place(event);
      light(null);
      if (!over) return;
      const fields = this.chosen();
      fields.set('to', over.dataset.dropPath);
      if (await act(this.dataset.moves, fields)) this.clear();
    });
  }

  layout() {
    this.height = MODES[this.mode] || MODES.cozy;
    this.classList.toggle('is-compact', this.mode === 'compact');
    this.heads();
    this.drawn = '';
    this.draw();
  }

  heads() {
    const row = element('tr');
    const every = element('input', { type: 'checkbox', class: 'form-check-input tbl-every', 'aria-label': 'Select all that match' });
    every.addEventListener('change', () => { this.all = every.checked; this.selected.clear(); this.mark(); });
    row.append(element('th', { class: 'tbl-check', scope: 'col' }, every));
    for (const key of this.shown) {
      const column = this.columns.find((column) => column.key === key);
      const on = this.sort.replace('-', '') === key;
      const down = this.sort.startsWith('-');
      const button = element('button', { type: 'button', class: 'tbl-sort' }, column.title, on ? icon(down ? 'sort-descending' : 'sort-ascending') : null);
      button.addEventListener('click', () => { this.sort = on && !down ? `-${key}` : key; this.changed(); });
      const head = element('th', { scope: 'col', class: `tbl-${key}${column.number ? ' text-end' : ''}`, 'aria-sort': on ? (down ? 'descending' : 'ascending') : 'none', draggable: 'true' }, button);
      head.addEventListener('dragstart', (event) => event.dataTransfer.setData('text/x-column', key));
      head.addEventListener('dragover', (event) => { if (event.dataTransfer.types.includes('text/x-column')) event.preventDefault(); });
      head.addEventListener('drop', (event) => {
        const moved = event.dataTransfer.getData('text/x-column');
        if (!moved || moved === key) return;
        event.preventDefault();
        event.stopPropagation();
        const rest = this.shown.filter((one) => one !== moved);
        rest.splice(rest.indexOf(key) + (this.shown.indexOf(moved) < this.shown.indexOf(key) ? 1 : 0), 0, moved);
        this.shown = rest;
        this.changed();
      });
      row.append(head);
    }
    this.table.tHead.replaceChildren(row);
    this.every = every;
    const list = this.querySelector('.tbl-columns');
    list.replaceChildren(...this.order().map((column) => {
      const box = element('input', { type: 'checkbox', class: 'form-check-input' });
      box.checked = this.shown.includes(column.key);
      box.addEventListener('change', () => {
        this.shown = box.checked ? [...this.shown, column.key] : this.shown.filter((key) => key !== column.key);
        if (!this.shown.length) this.shown = [this.columns[0].key];
        this.changed();
      });
      const move = (by, name, label) => {
        const button = element('button', { type: 'button', class: 'btn btn-sm btn-icon btn-ghost-secondary', 'aria-label': `Move ${column.title} ${label}`, disabled: !box.checked }, name);
        button.addEventListener('click', () => {
          const at = this.shown.indexOf(column.key);
          const to = at + by;
          if (at < 0 || to < 0 || to >= this.shown.length) return;
          [this.shown[at], this.shown[to]] = [this.shown[to], this.shown[at]];
          this.changed();
        });
        return button;
      };
      return element('li', {}, element('label', { class: 'form-check' }, box, element('span', { class: 'form-check-label' }, column.title)), move(-1, '↑', 'to the left'), move(1, '↓', 'to the right'));
    }));
  }

  order() {
    const rest = this.columns.filter((column) => !this.shown.includes(column.key));
    return [...this.shown.map((key) => this.columns.find((column) => column.key === key)), ...rest];
  }

  /** Something of the query changed. */
  changed() {
    this.write();
    this.all = false;
    this.selected.clear();
    this.blocks.clear();
    this.drawn = '';
    this.scroller.scrollTop = 0;
    this.focused = 0;
    this.heads();
    return this.draw();
  }

  /** The rows behind it changed: fetch the page's table anew and keep place and choice. `unattended` if no person asked for it. */
  async refresh({ unattended = false } = {}) {
    const headers = unattended ? { 'x-ticrypt-unattended': '1' } : {};
    try {
      const html = await (await ask('GET', location.pathname + location.search, undefined, { headers })).text();
      const template = document.createElement('template');
      template.innerHTML = html;
      const fresh = template.content.querySelector('ticrypt-table');
      if (!fresh || fresh.dataset.noun !== this.dataset.noun) return;
      this.sheet = fresh.dataset.sheet;
      for (const part of document.querySelectorAll('[data-refresh]')) {
        const other = template.content.querySelector(`[data-refresh="${part.dataset.refresh}"]`);
        if (other) part.replaceWith(other);
      }
      this.blocks.clear();
      this.drawn = '';
      await this.draw(headers);
    } catch (error) {
      complain(error);
    }
  }

  async block(number, headers) {
    if (!this.blocks.has(number)) {
      const query = this.query();
      query.set('from', number * BLOCK);
      query.set('count', BLOCK);
      query.set('cols', this.shown.join());
      const fetching = ask('GET', `/rows?${query}`, undefined, { headers }).then(async (reply) => {
        this.total = Number(reply.headers.get('x-total'));
        const template = document.createElement('template');
        template.innerHTML = `<table><tbody>${await reply.text()}</tbody></table>`;
        return [...template.content.querySelectorAll('tr')];
      });
      this.blocks.set(number, fetching);
      fetching.catch(() => this.blocks.delete(number));
      if (this.blocks.size > KEPT) this.blocks.delete(this.blocks.keys().next().value);
    }
    return this.blocks.get(number);
  }

  /** Draws what can be seen and a little more. */
  async draw(headers) {
    const top = this.scroller.scrollTop;
    const seen = Math.ceil(this.scroller.clientHeight / this.height) + 1;
    const first = Math.max(0, Math.floor(top / this.height) - 20);
    const blocks = [];
    for (let block = Math.floor(first / BLOCK); block <= Math.floor((first + seen + 30) / BLOCK); block += 1) if (block === 0 || block * BLOCK < this.total || !this.known) blocks.push(block);
    const wanted = `${this.sheet} ${blocks} ${this.query()}`;
    if (wanted === this.drawn) return;
    this.asked = wanted;
    let parts;
    try {
      parts = await Promise.all(blocks.map((block) => this.block(block, headers)));
    } catch (error) {
      // Changed meanwhile: fetched anew once; a list that never comes to rest is told.
      if (error.code === 'gone' && !this.renewed) {
        this.renewed = true;
        return this.refresh({ unattended: true });
      }
      return complain(error);
    }
    if (this.asked !== wanted) return;
    this.known = true;
    this.renewed = false;
    this.drawn = wanted;
    const from = (blocks[0] || 0) * BLOCK;
    const rows = parts.flat();
    this.above.firstElementChild.style.height = `${from * this.height}px`;
    this.below.firstElementChild.style.height = `${Math.max(0, this.total - from - rows.length) * this.height}px`;
    const held = this.body.contains(document.activeElement);
    const column = held && document.activeElement.dataset.column;
    this.body.replaceChildren(this.above, ...rows, this.below);
    this.table.setAttribute('aria-rowcount', this.total + 1);
    rows.forEach((row, at) => { row.dataset.at = from + at; if (this.dataset.moves) row.draggable = true; row.setAttribute('aria-rowindex', from + at + 2); });
    this.classList.toggle('is-empty', this.total === 0);
    this.mark();
    const row = held && this.row(this.focused);
    if (row) ((column && row.querySelector(`[data-column="${column}"]`)) || row).focus({ preventScroll: true });
    this.count();
  }

  rows() {
    return [...this.body.querySelectorAll('tr[data-key]')];
  }

  row(at) {
    return this.body.querySelector(`tr[data-at="${at}"]`);
  }

  mark() {
    for (const row of this.rows()) {
      const chosen = this.isChosen(row.dataset.key);
      row.setAttribute('aria-selected', String(chosen));
      this.reach(row);
      const box = row.querySelector('input');
      if (box) box.checked = chosen;
    }
    const size = this.size;
    this.every.checked = size > 0 && size === this.total;
    this.every.indeterminate = size > 0 && size < this.total;
    this.offer(size);
    this.count();
  }

  /** One row is reached by the key Tab, and what can be changed in it. */
  reach(row) {
    const index = Number(row.dataset.at) === this.focused ? 0 : -1;
    for (const one of [row, ...row.querySelectorAll('[data-flip]')]) one.tabIndex = index;
  }

  /** A box in a cell: what it says is sent, and the rows are fetched anew. */
  async change(box) {
    if (box.ariaBusy) return;
    const refused = box.getAttribute('aria-disabled') && box.title;
    const on = box.checked;
    const back = () => { box.checked = !on; box.ariaBusy = null; };
    if (refused) {
      back();
      return toast(refused, { tone: 'warning' });
    }
    this.focused = Number(box.closest('tr').dataset.at);
    this.mark();
    box.ariaBusy = 'true';
    if (!on && box.dataset.confirm && !(await confirm(box.dataset.confirm, { button: 'Take it away' }))) return back();
    const fields = new URLSearchParams(box.dataset.fields);
    fields.set('on', on ? '1' : '');
    if (await act(box.dataset.flip, fields)) return this.refresh();
    back();
  }

  count() {
    const status = this.querySelector('.tbl-count');
    const size = this.size;
    const rows = `${this.total.toLocaleString('en')} ${this.total === 1 ? this.dataset.one : this.dataset.many}`;
    status.textContent = size ? `${size.toLocaleString('en')} of ${rows} selected` : rows;
  }

  fits(button, size) {
    if (!size) return false;
    if (button.dataset.for === 'one' && size !== 1) return false;
    const need = button.dataset.needs;
    if (!need) return true;
    // What is not drawn is not known; the program says no where it must.
    const chosen = this.rows().filter((row) => this.isChosen(row.dataset.key));
    return chosen.every((row) => need.split(' ').every((word) => row.dataset.traits.split(' ').includes(word)));
  }

  fresh(button) {
    const copy = button.cloneNode(true);
    copy.addEventListener('click', () => { this.context.hidePopover(); this.run(button); });
    return copy;
  }

  offer(size) {
    this.bulk.hidden = size === 0;
    if (!size) return;
    const clear = element('button', { type: 'button', class: 'btn btn-sm btn-ghost-secondary', title: 'Clear the selection (Escape)', 'aria-label': 'Clear the selection' }, icon('x'));
    clear.addEventListener('click', () => this.clear());
    const fitting = this.actions.filter((button) => this.fits(button, size));
    this.bulk.replaceChildren(element('span', { class: 'tbl-chosen' }, `${size.toLocaleString('en')} selected`), clear, ...fitting.map((button) => { const copy = this.fresh(button); copy.className = `btn btn-sm ${button.dataset.tone || ''}`; return copy; }));
  }

  menu(x, y) {
    const fitting = this.actions.filter((button) => this.fits(button, this.size));
    if (!fitting.length) return;
    this.context.replaceChildren(...fitting.map((button) => { const copy = this.fresh(button); copy.className = `dropdown-item ${button.dataset.tone || ''}`; copy.setAttribute('role', 'menuitem'); return copy; }));
    this.context.showPopover();
    this.context.style.left = `${Math.min(x, innerWidth - this.context.offsetWidth - 8)}px`;
    this.context.style.top = `${Math.min(y, innerHeight - this.context.offsetHeight - 8)}px`;
    this.context.querySelector('button')?.focus();
    const items = [...this.context.querySelectorAll('button')];
    this.context.onkeydown = (event) => {
      const at = items.indexOf(document.activeElement);
      if (event.key === 'ArrowDown') items[(at + 1) % items.length].focus();
      else if (event.key === 'ArrowUp') items[(at + items.length - 1) % items.length].focus();
      else if (event.key === 'Escape' || event.key === 'Tab') { this.context.hidePopover(); this.row(this.focused)?.focus(); } else return;
      event.preventDefault();
      event.stopPropagation();
    };
  }

  async run(button) {
    const { dialog, act: url, confirm: question, open } = button.dataset;
    const fields = this.chosen();
    if (open) return this.open(this.rows().find((row) => this.isChosen(row.dataset.key)));
    if (dialog) return openDialog(dialog, fields);
    if (question && !(await confirm(question.replace('{n}', this.size.toLocaleString('en')), { button: button.textContent.trim(), tone: 'danger' }))) return;
    if (await act(url, fields)) this.clear();
  }

  open(row) {
    const link = row?.querySelector('a[href]');
    if (link) return go(link.getAttribute('href'));
    const first = this.actions.find((button) => 'first' in button.dataset && this.fits(button, 1));
    if (row && first) { this.only(row); this.run(first); }
  }

  clear() {
    this.all = false;
    this.selected.clear();
    this.mark();
  }

  only(row) {
    this.all = false;
    this.selected = new Set([row.dataset.key]);
    this.anchor = Number(row.dataset.at);
    this.focused = this.anchor;
    this.mark();
  }

  flip(row) {
    if (!this.selected.delete(row.dataset.key)) this.selected.add(row.dataset.key);
    this.anchor = Number(row.dataset.at);
    this.focused = this.anchor;
    this.mark();
  }

  /** From the anchor to here, those drawn or not. */
  async range(to) {
    const from = Math.min(this.anchor ?? to, to);
    const until = Math.max(this.anchor ?? to, to);
    const blocks = [];
    for (let block = Math.floor(from / BLOCK); block <= Math.floor(until / BLOCK); block += 1) blocks.push(block);
    // At once, for the next key may come before the rows are here.
    this.focused = to;
    if (blocks.length > KEPT) return toast('That is too far for one stroke; use “select all that match”.', { tone: 'warning' });
    const parts = await Promise.all(blocks.map((block) => this.block(block)));
    this.all = false;
    this.selected = new Set(parts.flatMap((rows, at) => rows.filter((_, row) => { const index = blocks[at] * BLOCK + row; return index >= from && index <= until; })).map((row) => row.dataset.key));
    this.mark();
    this.focusRow(this.focused);
  }

  clicked(event) {
    const row = event.target.closest('tr[data-key]');
    if (!row || event.target.closest('a')) return;
    const box = event.target.closest('[data-flip]');
    if (box) return box.ariaBusy ? event.preventDefault() : this.change(box);
    if (event.shiftKey) { document.getSelection()?.removeAllRanges(); return this.range(Number(row.dataset.at)); }
    if (event.target.closest('.tbl-check') || event.ctrlKey || event.metaKey) return this.flip(row);
    this.only(row);
    row.focus({ preventScroll: true });
  }

  async focusRow(at) {
    const to = Math.max(0, Math.min(at, this.total - 1));
    const top = to * this.height;
    const room = this.scroller.clientHeight - this.table.tHead.offsetHeight;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top + this.height > this.scroller.scrollTop + room) this.scroller.scrollTop = top + this.height - room;
    this.focused = to;
    await this.draw();
    this.rows().forEach((row) => this.reach(row));
    this.row(to)?.focus({ preventScroll: true });
  }

  async key(event) {
    const row = event.target.closest('tr[data-key]');
    if (!row || event.target.closest('a, button') && event.key === 'Enter') return;
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / this.height) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const key = event.key;
    const box = event.target.closest('[data-flip]');
    if (box && (key === ' ' || key === 'Enter')) return;
    if (box && (key === 'ArrowLeft' || key === 'ArrowRight')) {
      event.preventDefault();
      const boxes = [...row.querySelectorAll('[data-flip]')];
      return boxes[boxes.indexOf(box) + (key === 'ArrowLeft' ? -1 : 1)]?.focus();
    }
    if (key in steps) {
      event.preventDefault();
      const to = Math.max(0, Math.min(this.focused + steps[key], this.total - 1));
      if (event.shiftKey) { this.anchor ??= this.focused; return this.range(to); }
      return this.focusRow(to);
    }
    const button = this.actions.find((button) => button.dataset.key === key);
    if (key === ' ') this.flip(row);
    else if (key === 'Enter') this.open(row);
    else if (key === 'Escape') this.clear();
    else if (key.toLowerCase() === 'a' && (event.ctrlKey || event.metaKey)) { this.all = true; this.selected.clear(); this.mark(); } else if (key === 'ContextMenu' || (key === 'F10' && event.shiftKey)) {
      if (!this.isChosen(row.dataset.key)) this.only(row);
      const { left, bottom } = row.getBoundingClientRect();
      this.menu(left + 40, bottom);
    } else if (button) {
      if (!this.size) this.only(row);
      if (this.fits(button, this.size)) this.run(button);
    } else return;
    event.preventDefault();
  }

  async export(format, which) {
    const fields = which === 'selected' ? this.chosen() : this.query();
    if (which === 'selected' && !this.size) return toast('Nothing is selected.', { tone: 'warning' });
    if (which === 'all') for (const name of [...fields.keys()]) if (name === 'q' || name.startsWith('f.')) fields.delete(name);
    if (which !== 'selected') fields.set('all', '1');
    fields.set('cols', this.shown.join());
    fields.set('format', format);
    try {
      follow(await (await ask('POST', '/export', fields)).json());
    } catch (error) {
      complain(error);
    }
  }
}

customElements.define('ticrypt-table', Table);
