// The chat page of ragd.  Plain JavaScript; whatever comes from the server or a document is put in as text nodes
// only, never as markup.
'use strict';

const words = {
  en: {
    label: 'Question', send: 'Ask', stop: 'Stop', placeholder: 'Ask the documents …', close: 'Close',
    hint: 'Answers come from the documents in the knowledge base, each with its source. Click a source to see it in place.',
    modes: { auto: 'automatic', generate: 'written', extract: 'verbatim' },
    lines: (a, b) => (a === b ? 'line ' + a : 'lines ' + a + '–' + b), page: n => 'page ' + n,
    state: s => 'generation ' + s.generation + ' · ' + s.documents + ' documents',
    offline: 'the daemon does not answer', stopped: '(stopped)', key: 'Key for this server:',
    meta: d => d.mode + ' · ' + Math.round(d.timings_ms.total) + ' ms · confidence ' + d.confidence.toFixed(2),
  },
  zh: {
    label: '问题', send: '提问', stop: '停止', placeholder: '向文档提问……', close: '关闭',
    hint: '回答来自知识库中的文档，并附有出处。点击出处可查看原文。',
    modes: { auto: '自动', generate: '生成', extract: '原文' },
    lines: (a, b) => (a === b ? '第 ' + a + ' 行' : '第 ' + a + '–' + b + ' 行'), page: n => '第 ' + n + ' 页',
    state: s => '版本 ' + s.generation + ' · ' + s.documents + ' 篇文档',
    offline: '服务没有响应', stopped: '（已停止）', key: '请输入此服务的密钥：',
    meta: d => ({ generate: '生成', extract: '原文' }[d.mode] || d.mode) + ' · ' + Math.round(d.timings_ms.total) +
      ' 毫秒 · 可信度 ' + d.confidence.toFixed(2),
  },
};
const language = (navigator.language || 'en').toLowerCase().startsWith('zh') ? 'zh' : 'en';
const say = words[language];
const $ = id => document.getElementById(id);
let conversation = null;
let running = null; // AbortController of the answer that streams

function element(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

// ---- server ---------------------------------------------------------------------------

function headers(extra) {
  const key = sessionStorage.getItem('ragd-key');
  return Object.assign(key ? { Authorization: 'Bearer ' + key } : {}, extra);
}

async function call(path, options) {
  const send = () => fetch(path, Object.assign({}, options, { headers: headers(options && options.headers) }));
  let reply = await send();
  if (reply.status === 401) {
    const key = window.prompt(say.key);
    if (key) {
      sessionStorage.setItem('ragd-key', key.trim());
      reply = await send();
    }
  }
  if (!reply.ok) {
    const body = await reply.json().catch(() => null);
    throw new Error(body && body.error ? body.error.message : 'HTTP ' + reply.status);
  }
  return reply;
}

// Server-sent events of a POST: calls on(event, data) for each.
async function stream(path, body, signal, on) {
  const reply = await call(path, {
    method: 'POST', body: JSON.stringify(body), signal, headers: { 'Content-Type': 'application/json' },
  });
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    let end;
    while ((end = rest.indexOf('\n\n')) >= 0) {
      dispatch(rest.slice(0, end), on);
      rest = rest.slice(end + 2);
    }
  }
}

function dispatch(frame, on) {
  let name = 'message';
  const data = [];
  for (const line of frame.split('\n')) {
    if (line.startsWith('event:')) name = line.slice(6).trim();
    else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
  }
  if (data.length) on(name, JSON.parse(data.join('\n')));
}

// ---- sources --------------------------------------------------------------------------

function place(c) {
  const where = [];
  if (c.page) where.push(say.page(c.page));
  if (c.line_start) where.push(say.lines(c.line_start, c.line_end));
  return where.join(', ');
}

// Offsets are bytes of the stored text, so the cut is made in bytes.
async function openSource(c) {
  const reply = await call('/v1/documents/' + c.document_id + '/text');
  const bytes = new Uint8Array(await reply.arrayBuffer());
  const decode = (a, b) => new TextDecoder().decode(bytes.subarray(a, b));
  const mark = element('mark', '', decode(c.start, c.end));
  const text = $('source-text');
  text.replaceChildren(decode(0, c.start), mark, decode(c.end, bytes.length));
  $('source-name').textContent = c.title && c.title !== c.document ? c.title + ' — ' + c.document : c.document;
  $('source-place').textContent = [(c.heading || []).join(' › '), place(c)].filter(Boolean).join(' · ');
  $('source').hidden = false;
  mark.scrollIntoView({ block: 'center' });
  text.focus({ preventScroll: true });
}

function citationItem(c, fail) {
  const item = element('li');
  const button = element('button');
  button.type = 'button';
  button.append(element('span', 'where', '[' + c.n + '] ' + c.document + ' · ' + place(c) + ' '),
    element('span', 'quote', '“' + c.quote.replace(/\s+/g, ' ') + '”'));
  button.addEventListener('click', () => openSource(c).catch(fail));
  item.append(button);
  return item;
}

// ---- an answer ------------------------------------------------------------------------

// Text with its [n] markers as buttons that open the source.
function fillText(target, text, citations, fail) {
  target.replaceChildren();
  for (const part of text.split(/(\[\d+\])/)) {
    const n = /^\[(\d+)\]$/.exec(part);
    const c = n && citations.find(x => x.n === Number(n[1]));
    if (!c) {
      target.append(part);
      continue;
    }
    const marker = element('button', 'marker', part);
    marker.type = 'button';
    marker.addEventListener('click', () => openSource(c).catch(fail));
    target.append(marker);
  }
}

function newAnswer(question) {
  const talk = $('talk');
  if (talk.querySelector('.hint')) talk.replaceChildren();
  const box = element('div', 'answer draft');
  const text = element('div', 'text', '…');
  box.append(text);
  talk.append(element('p', 'question', question), box);
  const fail = e => {
    box.append(element('p', 'meta error', e.name === 'AbortError' ? say.stopped : e.message));
    box.classList.remove('draft');
  };
  return { box, text, fail };
}

function finish(a, d) {
  a.box.classList.remove('draft');
  fillText(a.text, d.answer, d.citations, a.fail);
  const list = element('ul', 'cites');
  for (const c of d.citations) list.append(citationItem(c, a.fail));
  if (d.citations.length) a.box.append(list);
  a.box.append(element('p', 'meta', say.meta(d)));
}

async function ask(question) {
  const a = newAnswer(question);
  const body = { question, stream: true, mode: $('mode').value };
  if (conversation) body.conversation_id = conversation;
  let grown = '';
  running = new AbortController();
  setBusy(true);
  const handle = {
    meta: d => { conversation = d.conversation_id || conversation; },
    draft: d => fillText(a.text, d.text, d.citations, a.fail),
    delta: d => { grown += d.text; a.text.textContent = grown; },
    done: d => { conversation = d.conversation_id || conversation; finish(a, d); },
    error: d => a.fail(new Error(d.error ? d.error.message : 'error')),
  };
  try {
    await stream('/v1/ask', body, running.signal, (name, data) => {
      if (handle[name]) handle[name](data);
      $('talk').scrollTop = $('talk').scrollHeight;
    });
  } catch (e) {
    a.fail(e);
  }
  running = null;
  setBusy(false);
}

// ---- the page -------------------------------------------------------------------------

function setBusy(busy) {
  $('send').textContent = busy ? say.stop : say.send;
  if (!busy) $('question').focus();
}

async function showState() {
  try {
    const reply = await fetch('/health', { headers: headers() });
    $('state').textContent = say.state(await reply.json());
  } catch (e) {
    $('state').textContent = say.offline;
  }
}

function submit(event) {
  event.preventDefault();
  if (running) {
    running.abort();
    return;
  }
  const question = $('question').value.trim();
  if (!question) return;
  $('question').value = '';
  ask(question);
}

function start() {
  document.documentElement.lang = language;
  $('question-label').textContent = say.label;
  $('question').placeholder = say.placeholder;
  $('source-close').textContent = say.close;
  for (const [value, label] of Object.entries(say.modes)) {
    const option = element('option', '', label);
    option.value = value;
    $('mode').append(option);
  }
  $('talk').append(element('p', 'hint', say.hint));
  $('ask').addEventListener('submit', submit);
  $('question').addEventListener('keydown', e => {
    if (e.key === 'Enter' && !e.shiftKey && !e.isComposing) submit(e);
  });
  $('source-close').addEventListener('click', () => { $('source').hidden = true; });
  setBusy(false);
  showState();
}

start();
