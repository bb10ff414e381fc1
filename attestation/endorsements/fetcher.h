// Documents of others (certificates, revocation lists, collateral) that are fetched when somebody's
// evidence needs them: kept in the store, fetched once however many ask for one, and not asked for
// again and again where they could not be had.
//
// Whose evidence it is nobody knows yet: how often and by how many at a time a source is asked is
// bounded, and only what its maker has authenticated is kept.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "attestation/store/store.h"
#include "base/http/client.h"

namespace coffer::endorsements {

// GETs a URL. Any status is a Response.
using Get = std::function<Result<http::Response>(const std::string& url)>;
// Over base/http, a connection each; `ca_pem` as in http::TlsTrust.
[[nodiscard]] Get make_get(std::string ca_pem);
// The response when its status is 200. kNotFound (404, 410): the source does not know it.
// kUnavailable: it could not be asked, or has too much to do (429, 5xx).
[[nodiscard]] Result<http::Response> get_document(const Get& get, const std::string& url);

struct Document {
  Bytes bytes;
  store::UnixTime good_until = 0;  // used no longer, whatever happens
};

struct FetchLimits {
  // That fetch, or wait for one that does, at a time: one more is told to try again later.
  std::size_t waiting = 4;
  // Fetches in a minute.
  std::size_t per_minute = 60;
  // Documents in the store.
  std::size_t kept = 10000;
};

// Thread-safe.
class Fetcher {
 public:
  // Gets and authenticates a document: an error when it is not authentic.
  using Make = std::function<Result<Document>(const Get& get)>;

  // `store` must outlive it.
  Fetcher(store::Store& store, Get get, store::Clock clock, FetchLimits limits = {});
  Fetcher(const Fetcher&) = delete;
  Fetcher& operator=(const Fetcher&) = delete;
  ~Fetcher();

  // The document of that key (a key of the store), not older than `fresh_for` seconds unless no
  // newer one can be had. `source` names where it comes from, for all of its documents: when it
  // cannot be reached, none is asked for. Blocks for as long as the fetch takes. kUnavailable when
  // it cannot be had now, with the reason; other errors are Make's, and are told again, without
  // another fetch, until a back-off (30 s, doubled with each failure, at most an hour; of a source
  // that cannot be asked at most five minutes, as strangers can bring that about) is over.
  [[nodiscard]] Result<Bytes> get(const std::string& source, const std::string& key,
                                  store::UnixTime fresh_for, const Make& make);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace coffer::endorsements
