select plan(12);

select is(guildhall.chat_record('s', 'ada', 'hello', 'hi', null), 'recorded', 'chat_record: keeps message and reply');
select is(guildhall.chat_record('s', 'bob', 'me too', 'no', null), 'not_yours', 'chat_record: not in another''s session');
select test.pass_time('1 s');
select test.run() as run \gset
select is(guildhall.chat_record('s', 'ada', 'how far is it', 'there', :'run'), 'recorded', 'chat_record: with the run it is about');
select is((select array_agg(r ->> 'content') from guildhall.chat_history('s', 'ada', 10) r),
    array['hello', 'hi', 'how far is it', 'there'], 'chat_history: oldest first');
select is((select array_agg(r ->> 'content') from guildhall.chat_history('s', 'ada', 2) r), array['how far is it', 'there'],
    'chat_history: the last ones');
select is((select r from guildhall.chat_history('s', 'ada', 1) r), jsonb_build_object('role', 'assistant', 'content', 'there',
    'run_id', :'run', 'at', '2030-01-01T12:00:01+00:00'), 'chat_history: the whole message');
select is_empty($$select guildhall.chat_history('s', 'bob', 10)$$, 'chat_history: nobody else''s');
select throws_ok($$select guildhall.chat_record('', 'ada', 'x', 'y', null)$$, 'GH001', null, 'chat_open: a session has an id');
select ok(guildhall.chat_open('t', 'ada', guildhall.clock()), 'chat_open: begins one');
select ok(guildhall.chat_open('t', 'ada', guildhall.clock()), 'chat_open: goes on with it');
select ok(not guildhall.chat_open('t', 'bob', guildhall.clock()), 'chat_open: not another''s');
select guildhall.chat_append('t', 'a', 'b', null, guildhall.clock());
select is((select string_agg(role, ' ' order by id) from guildhall.chat_messages where session_id = 't'), 'user assistant',
    'chat_append: message, then reply');

select * from finish();
