// The page of the server: a recording is made or opened, turned into 16 kHz here, and asked about.
"use strict";

const RATE = 16000;
const byId = (id) => document.getElementById(id);
const state = { clip: null, talks: new Map(), sender: null, recorder: null, url: null };

function tell(text) {
  byId("error").textContent = text;
}

function makeHeaders() {
  const key = byId("key").value.trim();
  return { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}) };
}

async function request(path, body, signal) {
  const options = body ? { method: "POST", body: JSON.stringify(body) } : {};
  const reply = await fetch(path, { ...options, headers: makeHeaders(), signal });
  if (!reply.ok) {
    const told = await reply.json().catch(() => null);
    throw new Error(told?.error?.message ?? `the server answered ${reply.status}`);
  }
  return reply;
}

// --- the recording

// what any browser decodes becomes 16-bit WAV of one channel
async function decode(blob) {
  const context = new OfflineAudioContext(1, 1, RATE);
  const decoded = await context.decodeAudioData(await blob.arrayBuffer());
  const offline = new OfflineAudioContext(1, Math.max(1, Math.round(decoded.duration * RATE)), RATE);
  const source = offline.createBufferSource();
  source.buffer = decoded;
  source.connect(offline.destination);
  source.start();
  return (await offline.startRendering()).getChannelData(0);
}

function writeWav(samples) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const word = (at, text) => [...text].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  word(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  word(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, 2 * RATE, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  word(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((x, i) => view.setInt16(44 + 2 * i, 32767 * Math.max(-1, Math.min(1, x)), true));
  return new Blob([view.buffer], { type: "audio/wav" });
}

async function toBase64(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

async function take(blob, name) {
  tell("");
  try {
    const samples = await decode(blob);
    const wav = writeWav(samples);
    state.clip = { data: await toBase64(wav), name };
    forget();
    if (state.url) URL.revokeObjectURL(state.url);
    state.url = URL.createObjectURL(wav);
    byId("player").src = state.url;
    byId("player").hidden = false;
    byId("drop").disabled = false;
    byId("heard").textContent = `${name}: ${(samples.length / RATE).toFixed(1)} s`;
    await drawMel();
  } catch (error) {
    tell(`${name} cannot be heard: ${error.message}`);
  }
}

function drop() {
  state.clip = null;
  forget();
  byId("player").hidden = byId("mel").hidden = true;
  byId("drop").disabled = true;
  byId("heard").textContent = "None yet. It stays on this machine and the server's.";
}

async function record() {
  tell("");
  if (state.recorder) {
    state.recorder.stop();
    return;
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const recorder = new MediaRecorder(stream);
    const parts = [];
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.onstop = () => {
      stream.getTracks().forEach((track) => track.stop());
      state.recorder = null;
      byId("record").textContent = "Record";
      byId("record").setAttribute("aria-pressed", "false");
      take(new Blob(parts, { type: recorder.mimeType }), "the recording");
    };
    state.recorder = recorder;
    recorder.start();
    byId("record").textContent = "Stop recording";
    byId("record").setAttribute("aria-pressed", "true");
  } catch (error) {
    tell(`no microphone: ${error.message}`);
  }
}

// dark blue, green, yellow: lighter is louder
function colour(share) {
  return [255 * Math.max(0, 1.6 * share - 0.6), 20 + 220 * share, 90 + 60 * Math.sin(Math.PI * share) - 60 * share];
}

async function drawMel() {
  const canvas = byId("mel");
  canvas.hidden = true;
  const body = { model: byId("first").value, data: state.clip.data };
  const mel = await (await request("/demo/log_mel", body)).json();
  const values = Uint8Array.from(atob(mel.values), (c) => c.charCodeAt(0));
  canvas.width = mel.frames;
  canvas.height = mel.bins;
  const context = canvas.getContext("2d");
  const image = context.createImageData(mel.frames, mel.bins);
  for (let frame = 0; frame < mel.frames; frame++) {
    for (let bin = 0; bin < mel.bins; bin++) {
      const [r, g, b] = colour(values[frame * mel.bins + bin] / 255);
      image.data.set([r, g, b, 255], 4 * ((mel.bins - 1 - bin) * mel.frames + frame));
    }
  }
  context.putImageData(image, 0, 0);
  canvas.hidden = false;
}

// --- questions

function forget() {
  state.talks.clear();
  byId("answers").replaceChildren();
}

function add(parent, tag, text = "", name = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (name) element.className = name;
  parent.append(element);
  return element;
}

async function* readEvents(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

async function answer(model, question, box, signal) {
  const before = state.talks.get(model) ?? [];
  const content = [{ type: "text", text: question }];
  if (!before.length && state.clip) {
    content.unshift({ type: "input_audio", input_audio: { data: state.clip.data, format: "wav" } });
  }
  const messages = [...before, { role: "user", content }];
  const shown = add(box, "p");
  const foot = add(box, "footer");
  const begun = performance.now();
  let first = 0;
  try {
    const reply = await request("/v1/chat/completions", {
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
      temperature: Number(byId("temperature").value),
      max_tokens: Number(byId("tokens").value),
    }, signal);
    for await (const event of readEvents(reply)) {
      if (event.error) throw new Error(event.error.message);
      const piece = event.choices[0]?.delta.content ?? "";
      if (piece && !first) first = performance.now() - begun;
      shown.textContent += piece;
      if (event.usage) {
        const kept = event.usage.prompt_tokens_details.cached_tokens;
        const said = event.usage.completion_tokens;
        foot.textContent = `${said} token${said === 1 ? "" : "s"}, the first after ${(first / 1000).toFixed(2)} s` +
          (kept ? `; ${kept} positions of the prompt were known` : "");
      }
    }
    state.talks.set(model, [...messages, { role: "assistant", content: shown.textContent || " " }]);
  } catch (error) {
    foot.textContent = error.name === "AbortError" ? "stopped" : error.message;
  }
}

async function ask(event) {
  event.preventDefault();
  tell("");
  const question = byId("question").value.trim();
  const models = [...new Set([byId("first").value, byId("second").value].filter(Boolean))];
  if (!question || !models.length || state.sender) return;
  const turn = add(byId("answers"), "div", "", "turn");
  add(turn, "p", question, "asked");
  const sides = add(turn, "div", "", "sides");
  state.sender = new AbortController();
  byId("ask").disabled = true;
  byId("stop").disabled = false;
  await Promise.all(models.map((model) => {
    const box = add(sides, "article", "", "answer");
    add(box, "h3", model);
    return answer(model, question, box, state.sender.signal);
  }));
  state.sender = null;
  byId("ask").disabled = false;
  byId("stop").disabled = true;
  byId("question").select();
}

async function say(event) {
  event.preventDefault();
  byId("spoken").textContent = "speaking …";
  try {
    const reply = await request("/v1/audio/speech", {
      model: byId("first").value,
      input: byId("text").value,
      instructions: byId("style").value,
      response_format: "wav",
    });
    byId("voiced").src = URL.createObjectURL(await reply.blob());
    byId("voiced").hidden = false;
    byId("spoken").textContent = "";
    await byId("voiced").play().catch(() => null);
  } catch (error) {
    byId("spoken").textContent = error.message;
  }
}

let models = [];

function choose() {
  byId("speaking").hidden = !models.find((model) => model.id === byId("first").value)?.speaks;
}

async function listModels() {
  try {
    models = (await (await request("/v1/models")).json()).data;
    tell("");
  } catch (error) {
    tell(error.message);
    return;
  }
  byId("first").replaceChildren();
  byId("second").replaceChildren(new Option("no other", ""));
  models.forEach((model) => {
    byId("first").append(new Option(model.id, model.id));
    byId("second").append(new Option(model.id, model.id));
  });
  choose();
}

byId("record").addEventListener("click", record);
byId("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) take(file, file.name);
});
byId("drop").addEventListener("click", drop);
byId("form").addEventListener("submit", ask);
byId("stop").addEventListener("click", () => state.sender?.abort());
byId("forget").addEventListener("click", forget);
byId("say").addEventListener("submit", say);
byId("first").addEventListener("change", choose);
byId("key").addEventListener("change", listModels);
listModels();
