package server

import "context"

// What tests do step by step.

func (s *Server) FollowOnce(ctx context.Context, feed Feed) error { return s.followOnce(ctx, feed) }
func (s *Server) NoteFeed(err error)                              { s.noteFeed(err) }
func (s *Server) ExpireNow(ctx context.Context) (int, error)      { return s.expire(ctx) }
