import { useParams } from 'react-router';

import { CreateTask } from './create/CreateTask';
import { TaskList } from './TaskList';
import { TaskView } from './task/TaskView';

/** All tasks, one of them, or a new one. */
export default function TasksPage() {
  const { id } = useParams();
  if (id == null) return <TaskList />;
  return id === 'create' ? <CreateTask /> : <TaskView key={id} id={id} />;
}
