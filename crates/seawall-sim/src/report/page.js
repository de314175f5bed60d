// Adds to a page that can be read without it: values at a time, series that can be hidden, saving.
(function () {
  "use strict";
  var text = document.getElementById("numbers").textContent;
  var found = JSON.parse(text);
  var all = function (what) { return Array.prototype.slice.call(document.querySelectorAll(what)); };
  var plots = all("svg.plot"), sliders = all(".time input"), guides = all(".guide");
  var length = plots.length ? Number(plots[0].dataset.length) : 1;

  function short(value) {
    if (value === null || value === undefined) { return "none"; }
    var size = Math.abs(value);
    return value.toFixed(size === 0 || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
  }
  function ms(value) { return value === null || value === undefined ? "none" : short(value * 1000) + " ms"; }

  function brief(n, i) {
    var series = found.policies[n].series;
    if (!(i in series.at)) { return "no value"; }
    return "goodput " + short(series.good[i]) + ", load " + short(series.backend[i]);
  }
  function full(n, i) {
    var s = found.policies[n].series;
    if (!(i in s.at)) { return "no value"; }
    return "offered " + short(s.calls[i]) + "/s, at the service " + short(s.backend[i]) + "/s, goodput " +
      short(s.good[i]) + "/s, fallbacks " + short(s.degraded[i]) + "/s, median " + ms(s.p50[i]) +
      ", 99th percentile " + ms(s.p99[i]) + ", waiting " + short(s.waiting[i]) + ", breakers open " +
      short(s.open[i]) + ", half-open " + short(s.half_open[i]);
  }
  function time(i) { return Number((i * found.bin).toPrecision(6)) + " s"; }

  function show(i) {
    var across = Math.min(100, 100 * (i + 0.5) * found.bin / length) + "%";
    guides.forEach(function (guide) {
      guide.setAttribute("x1", across);
      guide.setAttribute("x2", across);
      guide.style.visibility = "visible";
    });
    all("[data-brief]").forEach(function (place) { place.textContent = brief(place.dataset.brief, i); });
    all("[data-full]").forEach(function (place) {
      place.textContent = "At " + time(i) + ": " + full(place.dataset.full, i) + ".";
    });
    all(".at").forEach(function (place) { place.textContent = time(i); });
    sliders.forEach(function (slider) {
      slider.value = i;
      slider.setAttribute("aria-valuetext", time(i) + ": " + spoken(slider, i));
    });
  }
  // What a screen reader says as the slider moves: the values of its own part of the page.
  function spoken(slider, i) {
    var part = slider.closest("article");
    var own = part && part.querySelector("[data-full]");
    if (own) { return full(own.dataset.full, i); }
    return found.policies.map(function (policy, n) { return policy.name + " " + brief(n, i); }).join("; ");
  }

  var last = sliders.length ? Number(sliders[0].max) : -1;
  all(".time").forEach(function (bar) { bar.hidden = false; });
  sliders.forEach(function (slider) {
    slider.setAttribute("aria-valuetext", "pick a time");
    slider.addEventListener("input", function () { show(Number(slider.value)); });
  });
  plots.forEach(function (plot) {
    var follow = function (event) {
      var place = plot.getBoundingClientRect();
      var share = (event.clientX - place.left) / place.width;
      if (last >= 0 && share >= 0 && share <= 1) {
        show(Math.max(0, Math.min(last, Math.floor(share * length / found.bin))));
      }
    };
    plot.addEventListener("pointermove", follow);
    plot.addEventListener("pointerdown", follow);
  });

  all("[data-shows]").forEach(function (box) {
    box.hidden = false;
    box.addEventListener("change", function () {
      all("[data-n='" + box.dataset.shows + "']").forEach(function (line) {
        line.classList.toggle("off", !box.checked);
      });
    });
  });

  var save = document.getElementById("save");
  save.hidden = false;
  save.addEventListener("click", function () {
    var link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = (found.scenario.name.replace(/[^\w.-]+/g, "-") || "report") + ".json";
    document.body.appendChild(link);
    link.click();
    link.remove();
    setTimeout(function () { URL.revokeObjectURL(link.href); }, 1000);
  });
})();
