#include "attestation/endorsements/fetcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>

#include "base/byte_reader.h"

namespace coffer::endorsements {
namespace {

using store::UnixTime;

constexpr std::string_view kSpace = "endorsement";
constexpr UnixTime kFirstBackOff = 30;
constexpr UnixTime kMaxBackOff = 3600;
// Whoever asks for many documents may have a source answer 429: not an hour for everybody.
constexpr UnixTime kMaxSourceBackOff = 300;
constexpr UnixTime kMinute = 60;
constexpr std::size_t kMaxFailures = 1024;
constexpr std::size_t kMaxBody = std::size_t{4} << 20U;
constexpr auto kTimeout = std::chrono::seconds(10);
constexpr auto kConnectTimeout = std::chrono::seconds(5);

// What the store has: the time of the fetch before the document, 8 bytes, big-endian.
struct Kept {
  UnixTime fetched = 0;
  Bytes bytes;
};

constexpr std::size_t kTimeBytes = 8;

Bytes pack(UnixTime fetched, BytesView bytes) {
  Bytes out(kTimeBytes);
  for (std::size_t i = 0; i < kTimeBytes; ++i) {
    out[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(fetched) >> (8 * (7 - i)));
  }
  out.insert(out.end(), bytes.begin(), bytes.end());
  return out;
}

std::optional<Kept> unpack(BytesView bytes) {
  if (bytes.size() < kTimeBytes) return std::nullopt;
  std::uint64_t time = 0;
  for (std::size_t i = 0; i < kTimeBytes; ++i) time = time << 8U | bytes[i];
  const BytesView rest = bytes.subspan(kTimeBytes);
  return Kept{.fetched = static_cast<UnixTime>(time), .bytes = {rest.begin(), rest.end()}};
}

struct Failure {
  UnixTime until = 0;
  UnixTime pause = 0;
  std::optional<Error> error;
};

// One fetch, and all who wait for it.
struct Flight {
  std::optional<Result<Bytes>> outcome;
};

// It is the source that cannot be asked, and not this document that it does not have.
bool is_sources(const Error& error) { return error.code() == Code::kUnavailable; }

}  // namespace

struct Fetcher::State {
  State(store::Store& to, Get how, store::Clock when, FetchLimits bounds)
      : store(to), http_get(std::move(how)), clock(std::move(when)), limits(bounds) {}

  Result<std::optional<Kept>> kept(const std::string& key) {
    COFFER_TRY(const auto entry, store.get(kSpace, key));
    if (!entry) return std::optional<Kept>();
    return unpack(entry->value);
  }

  // The rest: with `mutex` held.
  std::optional<Error> refusal(const std::string& source, const std::string& key, UnixTime now) {
    for (const auto& name : {key, "source " + source}) {
      const auto at = failures.find(name);
      if (at == failures.end() || now >= at->second.until) continue;
      return Error(at->second.error->code(),
                   fmt::format("{} (not asked again for {} s)", at->second.error->to_string(),
                               at->second.until - now));
    }
    if (waiting >= limits.waiting) {
      return Error(
          Code::kUnavailable,
          fmt::format("fetch '{}': {} others wait for documents: try again later", key, waiting));
    }
    return std::nullopt;
  }

  bool take_turn(UnixTime now) {
    if (now - minute >= kMinute) {
      minute = now;
      fetched = 0;
    }
    if (fetched >= limits.per_minute) return false;
    ++fetched;
    return true;
  }

  void note(const std::string& name, const Error& error, UnixTime now, UnixTime most) {
    if (failures.size() >= kMaxFailures && !failures.contains(name)) {
      std::erase_if(failures, [&](const auto& entry) { return now >= entry.second.until; });
      if (failures.size() >= kMaxFailures) failures.erase(failures.begin());
    }
    Failure& failure = failures[name];
    failure.pause = std::clamp(2 * failure.pause, kFirstBackOff, most);
    failure.until = now + failure.pause;
    failure.error = error;
  }

  Result<Bytes> fetch(const std::string& key, const Make& make, UnixTime now) {
    COFFER_TRY(auto document, make(http_get));
    if (document.good_until <= now) {
      return fail(Code::kFailedPrecondition, fmt::format("fetch '{}': it has expired", key));
    }
    store::Write write{.space = std::string(kSpace), .key = key};
    write.value = pack(now, document.bytes);
    write.expires = document.good_until;
    COFFER_TRY([[maybe_unused]] const bool done, store.commit({&write, 1}, store::Durable::kNo));
    COFFER_TRY(const std::size_t count, store.count(kSpace));
    if (count > limits.kept) {
      COFFER_TRY([[maybe_unused]] const std::size_t gone, store.trim(kSpace, limits.kept / 2));
    }
    return std::move(document.bytes);
  }

  void finish(const std::string& source, const std::string& key, const Result<Bytes>& outcome,
              UnixTime now) {
    const std::string source_name = "source " + source;
    if (outcome) {
      failures.erase(key);
      failures.erase(source_name);
    } else if (is_sources(outcome.error())) {
      note(source_name, outcome.error(), now, kMaxSourceBackOff);
    } else {
      note(key, outcome.error(), now, kMaxBackOff);
    }
  }

  store::Store& store;
  Get http_get;
  store::Clock clock;
  FetchLimits limits;
  std::mutex mutex;
  std::condition_variable landed;
  std::map<std::string, std::shared_ptr<Flight>> flights;  // shared: with those who wait
  std::map<std::string, Failure> failures;
  std::size_t waiting = 0, fetched = 0;
  UnixTime minute = 0;
};

Fetcher::Fetcher(store::Store& store, Get get, store::Clock clock, FetchLimits limits)
    : state_(std::make_unique<State>(store, std::move(get), std::move(clock), limits)) {}
Fetcher::~Fetcher() = default;

Result<Bytes> Fetcher::get(const std::string& source, const std::string& key, UnixTime fresh_for,
                           const Make& make) {
  State& s = *state_;
  const UnixTime now = s.clock();
  COFFER_TRY(auto kept, s.kept(key));
  if (kept && now - kept->fetched < fresh_for) return std::move(kept->bytes);
  const auto old_or = [&](Error error) -> Result<Bytes> {
    if (kept) return std::move(kept->bytes);
    return fail(std::move(error));
  };
  std::unique_lock lock(s.mutex);
  if (auto refused = s.refusal(source, key, now)) return old_or(*std::move(refused));
  if (const auto at = s.flights.find(key); at != s.flights.end()) {
    const auto flight = at->second;
    ++s.waiting;
    s.landed.wait(lock, [&] { return flight->outcome.has_value(); });
    --s.waiting;
    return *flight->outcome ? *flight->outcome : old_or(flight->outcome->error());
  }
  if (!s.take_turn(now)) {
    return old_or(Error(Code::kUnavailable,
                        fmt::format("fetch '{}': {} documents were fetched in the last minute: "
                                    "try again later",
                                    key, s.limits.per_minute)));
  }
  const auto flight = s.flights[key] = std::make_shared<Flight>();
  ++s.waiting;
  lock.unlock();
  auto outcome = s.fetch(key, make, now);
  lock.lock();
  --s.waiting;
  s.flights.erase(key);
  s.finish(source, key, outcome, s.clock());
  flight->outcome = outcome;
  s.landed.notify_all();
  return outcome ? outcome : old_or(outcome.error());
}

Get make_get(std::string ca_pem) {
  return [ca_pem = std::move(ca_pem)](const std::string& url) -> Result<http::Response> {
    http::Settings settings;
    settings.tls.ca_pem = ca_pem;
    settings.timeout = kTimeout;
    settings.connect_timeout = kConnectTimeout;
    settings.max_body = kMaxBody;
    settings.proxy_from_environment = true;
    COFFER_TRY(auto client, http::Client::make(std::move(settings)));
    return client.send({.url = url});
  };
}

Result<http::Response> get_document(const Get& get, const std::string& url) {
  auto asked = get(url);
  if (!asked && asked.error().code() == Code::kDeadlineExceeded) {
    return fail(Code::kUnavailable, asked.error().to_string());
  }
  COFFER_TRY(auto response, std::move(asked));
  if (response.status == 200) return response;
  const bool unknown = response.status == 404 || response.status == 410;
  const bool busy = response.status == 429 || response.status >= 500;
  return fail(unknown ? Code::kNotFound : (busy ? Code::kUnavailable : Code::kFailedPrecondition),
              fmt::format("get '{}': status {}{}", url, response.status,
                          unknown ? ": it is not known there" : ""));
}

}  // namespace coffer::endorsements
