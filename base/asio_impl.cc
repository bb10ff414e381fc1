// Asio's own code, compiled once (BOOST_ASIO_SEPARATE_COMPILATION comes with target coffer_loop).
#include <boost/asio/impl/src.hpp>
